-- unknown sink
INSERT INTO outt SELECT `time`, v FROM events;
