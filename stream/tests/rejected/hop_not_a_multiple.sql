-- hop not a multiple
INSERT INTO out
SELECT window_start, COUNT(*)
FROM TABLE(HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '40' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
