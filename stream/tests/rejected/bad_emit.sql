-- bad emit
CREATE TABLE more (a BIGINT) WITH ('connector' = 'collect', 'emit' = 'sometimes');
INSERT INTO more SELECT v FROM events;
