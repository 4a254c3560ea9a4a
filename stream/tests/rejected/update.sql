-- update
UPDATE out SET n = 1;
