-- watermark ahead
CREATE TABLE more (
  a TIMESTAMP(3),
  WATERMARK FOR a AS a + INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT a, 1 FROM more;
