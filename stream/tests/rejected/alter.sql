-- alter
ALTER TABLE events SET ('path' = 'y');
