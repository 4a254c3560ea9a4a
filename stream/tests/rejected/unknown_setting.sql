-- unknown setting
SET 'emit.intervall' = '50 ms';
INSERT INTO out SELECT `time`, v FROM events;
