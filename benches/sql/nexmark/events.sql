-- One combined stream, as in the Flink suite: `event_type` says which of the three entities an object is. Its fields
-- are flat, not nested; `id` and `extra` are of whichever entity it is. What a query
-- does not use is not decoded.
CREATE TABLE nexmark (
  event_type   INT,
  id           BIGINT,
  date_time    TIMESTAMP(3),
  extra        STRING,
  -- of a person
  name         STRING,
  city         STRING,
  state        STRING,
  -- of an auction
  item_name    STRING,
  description  STRING,
  initial_bid  BIGINT,
  reserve      BIGINT,
  expires      TIMESTAMP(3),
  seller       BIGINT,
  category     BIGINT,
  -- of a bid
  auction      BIGINT,
  bidder       BIGINT,
  price        BIGINT,
  channel      STRING,
  url          STRING,
  WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND
) WITH (
  ${source},
  'format' = 'json'
);

CREATE VIEW person AS
SELECT id, name, city, state, date_time, extra FROM nexmark WHERE event_type = 0;

CREATE VIEW auction AS
SELECT id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra
FROM nexmark WHERE event_type = 1;

CREATE VIEW bid AS
SELECT auction, bidder, price, channel, url, date_time, extra FROM nexmark WHERE event_type = 2;
