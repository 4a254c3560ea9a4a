-- delete
DELETE FROM out WHERE n = 1;
