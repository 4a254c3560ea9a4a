-- descriptor missing
INSERT INTO out
SELECT window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE events, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
