-- uncastable column
INSERT INTO out SELECT v > 1, v FROM events;
