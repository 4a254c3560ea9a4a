-- metadata of a source in a sink
CREATE TABLE more (a BIGINT, t TIMESTAMP_LTZ(3) METADATA FROM 'timestamp') WITH ('connector' = 'collect');
INSERT INTO more SELECT v FROM events;
