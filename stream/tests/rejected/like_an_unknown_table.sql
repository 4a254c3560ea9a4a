-- like an unknown table
CREATE TABLE more WITH ('connector' = 'collect') LIKE ot;
