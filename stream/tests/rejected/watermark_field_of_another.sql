-- a watermark field over another column
CREATE TABLE more (a TIMESTAMP(3), c TIMESTAMP(3), b AS c - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'path' = 'x', 'event_time_field' = 'a', 'watermark_field' = 'b');
