-- like with an unknown word
CREATE TABLE more LIKE events (INCLUDING EVERYTHING);
