-- order by
INSERT INTO out SELECT `time`, v FROM events ORDER BY v;
