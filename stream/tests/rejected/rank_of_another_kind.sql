-- rank of another kind
INSERT INTO out
SELECT w, RANK() OVER (PARTITION BY w ORDER BY n)
FROM (SELECT window_start AS w, k, COUNT(*) AS n
      FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
      GROUP BY window_start, window_end, k);
