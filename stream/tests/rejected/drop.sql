-- drop
DROP TABLE events;
