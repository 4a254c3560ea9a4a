-- misspelt keyword
INSERT INTO out
SELCT `time`, v FROM events;
