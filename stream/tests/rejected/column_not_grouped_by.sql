-- column not grouped by
INSERT INTO out
SELECT window_start, v
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
