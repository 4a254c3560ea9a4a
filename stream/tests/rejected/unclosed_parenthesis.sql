-- unclosed parenthesis
INSERT INTO out
SELECT `time`, (v + 1
FROM events;
