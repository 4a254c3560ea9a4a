-- like with an option again
CREATE TABLE more WITH ('path' = 'y') LIKE events (INCLUDING ALL);
