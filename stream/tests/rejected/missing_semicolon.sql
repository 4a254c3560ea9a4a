-- missing semicolon
INSERT INTO out SELECT `time`, v FROM events
INSERT INTO out SELECT `time`, v FROM events;
