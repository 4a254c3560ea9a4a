-- deduplicate without watermark
CREATE TABLE more (a INT) WITH ('connector' = 'filesystem', 'path' = 'x', 'deduplicate.key' = 'a');
INSERT INTO out SELECT NULL, a FROM more;
