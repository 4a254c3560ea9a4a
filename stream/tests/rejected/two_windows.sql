-- two windows
INSERT INTO out
SELECT a['start'], n FROM (
  SELECT tumble(INTERVAL '1' MINUTE) AS a, tumble(INTERVAL '2' MINUTE) AS b, COUNT(*) AS n
  FROM events GROUP BY a, b);
