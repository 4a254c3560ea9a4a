-- unknown connector
CREATE TABLE more (a INT) WITH ('connector' = 'kafak');
INSERT INTO out SELECT NULL, a FROM more;
