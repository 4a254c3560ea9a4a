-- bad setting
SET 'emit.interval' = 'often';
INSERT INTO out SELECT `time`, v FROM events;
