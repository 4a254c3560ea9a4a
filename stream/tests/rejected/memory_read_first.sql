-- a memory table read first
CREATE TABLE m (t TIMESTAMP(3), v BIGINT) WITH ('connector' = 'memory');
INSERT INTO out SELECT t, v FROM m;
