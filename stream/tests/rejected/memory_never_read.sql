-- a memory table that nobody reads
CREATE TABLE m (t TIMESTAMP(3), v BIGINT) WITH ('connector' = 'memory');
INSERT INTO out SELECT `time`, v FROM events;
INSERT INTO m SELECT `time`, v FROM events;
