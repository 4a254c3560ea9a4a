-- two watermarks
CREATE TABLE more (
  a TIMESTAMP(3),
  WATERMARK FOR a AS a,
  WATERMARK FOR a AS a
) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT a, 1 FROM more;
