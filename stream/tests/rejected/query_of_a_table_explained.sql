-- a table as a query beside an explained one
CREATE TABLE more WITH ('connector' = 'collect') AS SELECT v AS a FROM events;
EXPLAIN INSERT INTO out SELECT `time`, v FROM events;
