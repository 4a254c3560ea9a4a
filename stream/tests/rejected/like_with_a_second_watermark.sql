-- like with a second watermark
CREATE TABLE more (WATERMARK FOR sent) LIKE events;
