-- watermark by months
CREATE TABLE more (
  a TIMESTAMP(3),
  WATERMARK FOR a AS a - INTERVAL '1' MONTH
) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT a, 1 FROM more;
