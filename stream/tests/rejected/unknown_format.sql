-- an unknown format
CREATE TABLE more (a BIGINT) WITH ('connector' = 'filesystem', 'path' = 'x', 'format' = 'avro');
INSERT INTO out SELECT NULL, a FROM more;
