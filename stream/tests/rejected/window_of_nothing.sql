-- window of nothing
INSERT INTO out
SELECT window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '0' MINUTE))
GROUP BY window_start, window_end;
