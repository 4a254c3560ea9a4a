-- window column twice
CREATE VIEW minutes AS SELECT window_start, window_end, window_time, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, window_time;
INSERT INTO out SELECT window_start, SUM(n)
FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(window_time), INTERVAL '1' HOUR)) GROUP BY window_start, window_end;
