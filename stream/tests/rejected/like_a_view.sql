-- like a view
CREATE VIEW w AS SELECT v FROM events;
CREATE TABLE more WITH ('connector' = 'collect') LIKE w;
