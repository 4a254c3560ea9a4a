-- a watermark field without event time
CREATE TABLE more (a TIMESTAMP(3), b AS a - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'x', 'watermark_field' = 'b');
