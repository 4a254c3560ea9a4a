-- like with a column again
CREATE TABLE more (v BIGINT) WITH ('connector' = 'collect') LIKE events;
