-- a window over a memory table without event time
CREATE TABLE m (t TIMESTAMP(3), v BIGINT) WITH ('connector' = 'memory');
INSERT INTO m SELECT `time`, v FROM events;
INSERT INTO m SELECT sent, v FROM events;
INSERT INTO out SELECT window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE m, DESCRIPTOR(t), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;
