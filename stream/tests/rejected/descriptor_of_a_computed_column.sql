-- descriptor of a computed column
CREATE VIEW shifted AS SELECT `time` + INTERVAL '1' HOUR AS later, v FROM events;
INSERT INTO out
SELECT window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE shifted, DESCRIPTOR(later), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
