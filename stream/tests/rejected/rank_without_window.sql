-- rank without window
INSERT INTO out
SELECT `time`, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v) FROM events;
