-- temporal join
INSERT INTO out SELECT a.`time`, b.v
FROM events a JOIN events FOR SYSTEM_TIME AS OF a.`time` AS b ON a.k = b.k;
