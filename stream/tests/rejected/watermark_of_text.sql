-- watermark of text
CREATE TABLE more (
  a STRING,
  WATERMARK FOR a AS a - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT NULL, a FROM more;
