-- a memory table with a watermark
CREATE TABLE m (t TIMESTAMP(3), WATERMARK FOR t AS t) WITH ('connector' = 'memory');
