-- unknown sink option
CREATE TABLE more (a BIGINT) WITH ('connector' = 'collect', 'colour' = 'red');
INSERT INTO more SELECT v FROM events;
