-- a memory table with options
CREATE TABLE m (v BIGINT) WITH ('connector' = 'memory', 'format' = 'json');
