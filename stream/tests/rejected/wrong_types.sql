-- wrong types
INSERT INTO out
SELECT `time`, k + `time`
FROM events;
