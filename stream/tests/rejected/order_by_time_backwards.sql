-- order by time backwards
INSERT INTO out SELECT `time`, v FROM events ORDER BY `time` DESC;
