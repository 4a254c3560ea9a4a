-- another time zone
SET 'table.local-time-zone' = 'Europe/Paris';
INSERT INTO out SELECT `time`, v FROM events;
