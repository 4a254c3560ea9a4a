-- no threads
SET 'parallelism' = '0';
INSERT INTO out SELECT `time`, v FROM events;
