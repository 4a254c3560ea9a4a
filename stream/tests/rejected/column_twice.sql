-- column twice
CREATE TABLE more (a INT, a INT) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT NULL, a FROM more;
