-- current watermark
INSERT INTO out SELECT CURRENT_WATERMARK(`time`), v FROM events;
