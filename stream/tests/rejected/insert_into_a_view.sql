-- insert into a view
CREATE VIEW w AS SELECT v FROM events;
INSERT INTO w SELECT v FROM events;
