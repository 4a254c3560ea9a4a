-- missing option
CREATE TABLE more (a INT) WITH ('connector' = 'filesystem');
INSERT INTO out SELECT NULL, a FROM more;
