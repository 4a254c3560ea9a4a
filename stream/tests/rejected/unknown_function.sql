-- unknown function
INSERT INTO out
SELECT `time`, lenght(k) FROM events;
