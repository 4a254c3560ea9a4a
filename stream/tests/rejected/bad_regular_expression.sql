-- bad regular expression
INSERT INTO out SELECT `time`, v FROM events WHERE REGEXP(k, '(a|b');
