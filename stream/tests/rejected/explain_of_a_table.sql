-- explain of a table
EXPLAIN CREATE TABLE a (b INT);
