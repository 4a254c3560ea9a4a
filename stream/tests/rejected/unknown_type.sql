-- unknown type
CREATE TABLE more (
  a GEOMETRY
) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT NULL, 1 FROM more;
