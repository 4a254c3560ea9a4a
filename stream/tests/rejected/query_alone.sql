-- query alone
SELECT * FROM events;
