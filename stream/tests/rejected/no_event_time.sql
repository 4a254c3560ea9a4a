-- no event time
CREATE TABLE more (a INT) WITH ('connector' = 'filesystem', 'path' = 'x');
INSERT INTO out
SELECT w['start'], n FROM (SELECT tumble(INTERVAL '1' MINUTE) AS w, COUNT(*) AS n FROM more GROUP BY w);
