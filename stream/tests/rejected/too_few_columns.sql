-- too few columns
INSERT INTO out SELECT v FROM events;
