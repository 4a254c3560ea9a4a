-- grouping sets
INSERT INTO out
SELECT NULL, COUNT(*) FROM events GROUP BY ROLLUP (k);
