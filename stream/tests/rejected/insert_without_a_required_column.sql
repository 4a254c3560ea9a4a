-- insert without a column that is not null
CREATE TABLE more (a BIGINT NOT NULL, b BIGINT) WITH ('connector' = 'collect');
INSERT INTO more (b) SELECT v FROM events;
