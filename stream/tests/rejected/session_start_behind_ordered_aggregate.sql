-- The rows of a session are gathered by its end, so nothing is promised about the starts of sessions to come.
CREATE VIEW visits AS
  SELECT w['start'] AS began, vs
  FROM (SELECT session(INTERVAL '12' SECOND) AS w, ARRAY_AGG(v ORDER BY v) AS vs FROM events GROUP BY w);
INSERT INTO out
  SELECT window_end, COUNT(*)
  FROM TABLE(TUMBLE(TABLE visits, DESCRIPTOR(began), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end;
