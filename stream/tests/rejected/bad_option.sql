-- bad option
CREATE TABLE more (a INT) WITH ('connector' = 'filesystem', 'path' = 'x', 'idle-timeout' = 'a while');
INSERT INTO out SELECT NULL, a FROM more;
