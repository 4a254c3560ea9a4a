-- like overwriting all
CREATE TABLE more LIKE events (OVERWRITING ALL);
