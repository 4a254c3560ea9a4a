-- bad date pattern to read
INSERT INTO out SELECT TO_TIMESTAMP(k, 'EEE yyyy'), v FROM events;
