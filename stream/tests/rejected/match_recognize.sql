-- match recognize
INSERT INTO out SELECT * FROM events MATCH_RECOGNIZE (
  ORDER BY `time` MEASURES A.`time` AS t, B.v AS v PATTERN (A B) DEFINE B AS B.v > A.v);
