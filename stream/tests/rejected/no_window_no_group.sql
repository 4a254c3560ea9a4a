-- no window no group
INSERT INTO out
SELECT NULL, SUM(v) FROM events;
