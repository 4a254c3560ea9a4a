-- interval of nothing
INSERT INTO out SELECT a.`time`, b.v
FROM events a JOIN events b ON a.k = b.k
  AND a.`time` BETWEEN b.`time` + INTERVAL '5' SECOND AND b.`time` - INTERVAL '5' SECOND;
