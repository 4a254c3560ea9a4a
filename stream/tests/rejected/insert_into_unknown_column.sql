-- insert into unknown column
INSERT INTO out (w, m) SELECT `time`, v FROM events;
