-- unknown table
INSERT INTO out
SELECT window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE event, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
