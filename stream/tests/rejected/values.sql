-- values
INSERT INTO out VALUES (NULL, 1);
