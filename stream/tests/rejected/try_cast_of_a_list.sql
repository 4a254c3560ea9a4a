-- one element that fails makes all of it NULL in Flink
CREATE TABLE lists (a ARRAY<STRING>) WITH ('connector' = 'filesystem', 'path' = 'x');
CREATE TABLE ints (a ARRAY<INT>) WITH ('connector' = 'collect');
INSERT INTO ints SELECT TRY_CAST(a AS ARRAY<INT>) FROM lists;
