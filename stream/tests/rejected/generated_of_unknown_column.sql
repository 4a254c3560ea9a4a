-- generated of unknown column
CREATE TABLE more (
  a BIGINT,
  b AS c + 1
) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT NULL, b FROM more;
