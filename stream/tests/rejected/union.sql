-- union
INSERT INTO out SELECT `time`, v FROM events UNION SELECT `time`, v FROM events;
