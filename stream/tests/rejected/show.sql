-- show
SHOW TABLES;
