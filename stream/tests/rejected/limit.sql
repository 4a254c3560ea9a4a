-- limit
INSERT INTO out SELECT `time`, v FROM events LIMIT 10;
