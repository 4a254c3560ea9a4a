-- primary key of unknown column
CREATE TABLE more (a BIGINT, PRIMARY KEY (b) NOT ENFORCED) WITH ('connector' = 'collect');
INSERT INTO more SELECT v FROM events;
