-- distinct
INSERT INTO out SELECT DISTINCT `time`, v FROM events;
