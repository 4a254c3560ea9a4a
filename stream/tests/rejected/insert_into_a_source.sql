-- insert into a source
INSERT INTO events SELECT * FROM events;
