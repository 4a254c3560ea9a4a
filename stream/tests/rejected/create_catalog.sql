-- create catalog
CREATE CATALOG c WITH ('type' = 'hive');
