-- metadata of a source
CREATE TABLE more (a BIGINT, epoch BIGINT METADATA) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT NULL, epoch FROM more;
