-- variable without value
INSERT INTO out SELECT `time`, v
FROM events WHERE v > ${least};
