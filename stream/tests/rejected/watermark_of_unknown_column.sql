-- watermark of unknown column
CREATE TABLE more (
  a INT,
  WATERMARK FOR b AS b - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT NULL, a FROM more;
