-- One combined stream, as in the Flink suite: `event_type` says which of the three entities an object is. Its fields
-- are flat, not nested; `id` and `extra` are of whichever entity it is. Only what the queries use is declared.
CREATE TABLE nexmark (
  event_type INT,
  auction    BIGINT,
  bidder     BIGINT,
  price      BIGINT,
  date_time  TIMESTAMP(3),
  extra      STRING,
  WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH (
  ${source},
  'format' = 'json'
);

CREATE VIEW bid AS
SELECT auction, bidder, price, date_time, extra FROM nexmark WHERE event_type = 2;
