-- metadata of a source of the wrong type
CREATE TABLE more (a BIGINT, k INT METADATA FROM 'key') WITH ('connector' = 'filesystem', 'path' = 'x');
