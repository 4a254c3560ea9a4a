-- interval of one side
INSERT INTO out SELECT a.`time`, b.v
FROM events a JOIN events b ON a.k = b.k AND a.`time` >= b.`time` - INTERVAL '5' SECOND;
