-- Every event once, as a table in the lake: what batch SQL is run over.
--
-- topics           product-views, cart-events, order-events
-- event time       "time" of the event
-- watermark delay  5 s (--set delay=SECONDS)
-- output key       (source, id)
--
-- Duplicates are left out; late events are in it, wherever they were too late for a window.

CREATE TABLE events (
  id           STRING,
  source       STRING,
  `type`       STRING,
  `time`       TIMESTAMP_LTZ(3),
  traffic      STRING,
  anonymous_id STRING,
  session_id   STRING,
  user_id      STRING,
  product_id   BIGINT,
  category_id  BIGINT,
  quantity     BIGINT,
  price_minor  BIGINT,
  value_minor  BIGINT,
  currency     STRING,
  cart_id      STRING,
  order_id     STRING,
  line         BIGINT,
  event_time   AS `time`,
  WATERMARK FOR event_time AS event_time - INTERVAL '${delay:-5}' SECOND
) WITH (
  ${source:-'connector' = 'kafka', 'topic' = 'product-views;cart-events;order-events', 'properties.bootstrap.servers' = '${brokers:-localhost:9092}', 'properties.group.id' = '${group:-plamatio-events}', 'scan.startup.mode' = 'group-offsets'},
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601',
  'idle-timeout' = '${idle:-30 s}',
  'deduplicate.key' = 'source,id',
  'deduplicate.horizon' = '${horizon:-15 min}'
);

CREATE TABLE events_lake WITH (
  ${final:-'connector' = 'delta', 'path' = '${lake:-plamatio-data/lake}/events'}
) AS
SELECT
  id, source, `type`, event_time, traffic, anonymous_id, session_id, user_id,
  product_id, category_id, quantity, price_minor, value_minor, currency,
  cart_id, order_id, line
FROM events;
