-- an insert behind the reader
CREATE TABLE m (t TIMESTAMP(3), v BIGINT) WITH ('connector' = 'memory');
INSERT INTO m SELECT `time`, v FROM events;
INSERT INTO out SELECT t, v FROM m;
INSERT INTO m SELECT sent, v FROM events;
