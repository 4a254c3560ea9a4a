-- a table as a query with columns
CREATE TABLE more (a INT) WITH ('connector' = 'collect') AS SELECT v AS a FROM events;
