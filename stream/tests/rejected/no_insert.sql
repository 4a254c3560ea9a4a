-- no insert
CREATE VIEW w AS SELECT v FROM events;
