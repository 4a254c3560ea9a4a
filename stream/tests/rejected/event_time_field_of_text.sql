-- an event time field of text
CREATE TABLE more (a STRING) WITH ('connector' = 'filesystem', 'path' = 'x', 'event_time_field' = 'a');
