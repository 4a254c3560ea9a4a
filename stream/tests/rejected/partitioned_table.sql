-- a partitioned table
CREATE TABLE more (a BIGINT, b BIGINT) PARTITIONED BY (b) WITH ('connector' = 'filesystem', 'path' = 'x');
