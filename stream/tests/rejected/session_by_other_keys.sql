-- session by other keys
INSERT INTO out
SELECT window_start, COUNT(*)
FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
