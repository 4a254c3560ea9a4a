-- nanoseconds
CREATE TABLE more (a TIMESTAMP(9) WITH LOCAL TIME ZONE) WITH ('connector' = 'filesystem', 'path' = 'x');
