-- unknown metadata
CREATE TABLE more (
  a BIGINT,
  b BIGINT METADATA FROM 'headers'
) WITH ('connector' = 'collect');
INSERT INTO more SELECT v FROM events;
