-- unknown metadata
CREATE TABLE more (
  a BIGINT,
  b BIGINT METADATA FROM 'header'
) WITH ('connector' = 'collect');
INSERT INTO more SELECT v FROM events;
