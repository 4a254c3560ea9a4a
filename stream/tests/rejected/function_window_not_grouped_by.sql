-- function window not grouped by
INSERT INTO out
SELECT tumble(INTERVAL '1' MINUTE)['start'], v FROM events;
