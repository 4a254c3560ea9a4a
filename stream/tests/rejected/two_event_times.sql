-- event time told twice
CREATE TABLE more (a TIMESTAMP(3), b TIMESTAMP(3), WATERMARK FOR a)
WITH ('connector' = 'filesystem', 'path' = 'x', 'event_time_field' = 'b');
