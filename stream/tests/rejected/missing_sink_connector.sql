-- missing sink connector
CREATE TABLE more (a BIGINT);
INSERT INTO more SELECT v FROM events;
