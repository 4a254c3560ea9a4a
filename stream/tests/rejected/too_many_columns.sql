-- too many columns
INSERT INTO out (n) SELECT v, v + 1 FROM events;
