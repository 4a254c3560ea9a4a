-- describe
DESCRIBE events;
