-- like without the column of the watermark
CREATE TABLE base (a BIGINT, t AS TO_TIMESTAMP_LTZ(a, 3), WATERMARK FOR t) WITH ('connector' = 'filesystem', 'path' = 'x');
CREATE TABLE more LIKE base (EXCLUDING GENERATED);
