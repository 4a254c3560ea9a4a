-- unknown column
INSERT INTO out
SELECT `time`,
  vv
FROM events;
