-- window of a number
INSERT INTO out
SELECT window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), 60))
GROUP BY window_start, window_end;
