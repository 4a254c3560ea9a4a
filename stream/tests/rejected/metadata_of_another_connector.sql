-- metadata of another connector
CREATE TABLE more (a BIGINT, o BIGINT METADATA FROM 'offset') WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT NULL, o FROM more;
