-- unclosed text
INSERT INTO out
SELECT `time`, v FROM events WHERE k = 'a;
