-- two keys
CREATE TABLE more (a BIGINT PRIMARY KEY, b BIGINT, PRIMARY KEY (b)) WITH ('connector' = 'filesystem', 'path' = 'x');
