-- unknown sink connector
CREATE TABLE more (a BIGINT) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO more SELECT v FROM events;
