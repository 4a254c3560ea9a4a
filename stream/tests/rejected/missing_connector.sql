-- missing connector
CREATE TABLE more (a INT) WITH ('path' = 'x');
INSERT INTO out SELECT NULL, a FROM more;
