-- a view with too few names
CREATE VIEW w (a) AS SELECT k, v FROM events;
