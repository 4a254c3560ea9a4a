-- a key that would be enforced
CREATE TABLE more (a BIGINT PRIMARY KEY ENFORCED) WITH ('connector' = 'filesystem', 'path' = 'x');
