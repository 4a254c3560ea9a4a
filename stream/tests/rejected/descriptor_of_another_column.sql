-- descriptor of another column
INSERT INTO out
SELECT window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(sent), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
