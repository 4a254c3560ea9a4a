-- interval without keys
INSERT INTO out SELECT a.`time`, b.v
FROM events a JOIN events b ON a.`time` BETWEEN b.`time` - INTERVAL '5' SECOND AND b.`time`;
