-- insert into a column twice
INSERT INTO out (n, n) SELECT v, v + 1 FROM events;
