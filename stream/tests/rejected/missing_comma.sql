-- missing comma
INSERT INTO out
SELECT `time` v x
FROM events;
