-- processing time
INSERT INTO out SELECT PROCTIME(), v FROM events;
