-- bad date pattern
INSERT INTO out SELECT `time`, v FROM events
WHERE DATE_FORMAT(`time`, 'yyyy-MM-dd q') = 'x';
