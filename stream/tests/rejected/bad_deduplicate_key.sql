-- bad deduplicate key
CREATE TABLE more (a INT) WITH ('connector' = 'filesystem', 'path' = 'x', 'deduplicate.key' = 'a,b');
INSERT INTO out SELECT NULL, a FROM more;
