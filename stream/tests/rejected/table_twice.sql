-- table twice
CREATE TABLE events (a INT) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out SELECT NULL, a FROM events;
