-- join
INSERT INTO out
SELECT a.`time`, b.v
FROM events a JOIN events b ON a.k = b.k;
