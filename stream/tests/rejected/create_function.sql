-- create function
CREATE TEMPORARY FUNCTION f AS 'x.Y';
