-- window not grouped by
INSERT INTO out
SELECT MAX(window_start), COUNT(*)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
GROUP BY k;
