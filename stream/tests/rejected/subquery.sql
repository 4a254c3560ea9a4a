-- subquery
INSERT INTO out SELECT `time`, v FROM events WHERE k IN (SELECT k FROM events);
