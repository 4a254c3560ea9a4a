-- insert overwrite
INSERT OVERWRITE out SELECT `time`, v FROM events;
