-- unknown option
CREATE TABLE more (a INT) WITH ('connector' = 'filesystem', 'path' = 'x', 'pathh' = 'y');
INSERT INTO out SELECT NULL, a FROM more;
