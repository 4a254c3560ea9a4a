-- metadata of wrong type
CREATE TABLE more (
  a BIGINT,
  epoch STRING METADATA
) WITH ('connector' = 'collect');
INSERT INTO more SELECT v FROM events;
