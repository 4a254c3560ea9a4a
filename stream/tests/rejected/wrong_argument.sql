-- wrong argument
INSERT INTO out
SELECT window_start, SUM(k > 'a')
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
