-- no window
INSERT INTO out
SELECT NULL, COUNT(*)
FROM events
GROUP BY k;
