-- insert into a partition
INSERT INTO out PARTITION (n = 1) SELECT `time` FROM events;
