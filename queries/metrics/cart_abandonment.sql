-- Cart abandonment: carts by the minute in which they were started, and what became of them.
--
-- topics           cart-events, order-events (product-views are read with them and left out)
-- event time       "time" of the event
-- watermark delay  5 s (--set delay=SECONDS)
-- output key       (window_start, window_end)
--
-- A cart is started when an item is put in. It is abandoned when its timeout (1 hour after its last event,
-- --set timeout=MINUTES) passes while it still holds an item and was not purchased. abandonment_rate is
-- abandoned over started carts, NULL where none was started. checkout_abandonment_rate is the same among the
-- carts that began a checkout. recovered counts purchases of carts that had been given up before: they stay
-- abandoned in the window in which they were started. A window is final once all its carts are decided.

CREATE TABLE events (
  id           STRING,
  source       STRING,
  `type`       STRING,
  `time`       TIMESTAMP_LTZ(3),
  traffic      STRING,
  anonymous_id STRING,
  cart_id      STRING,
  quantity     BIGINT,
  event_time   AS `time`,
  WATERMARK FOR event_time AS event_time - INTERVAL '${delay:-5}' SECOND
) WITH (
  ${source:-'connector' = 'kafka', 'topic' = 'product-views;cart-events;order-events', 'properties.bootstrap.servers' = '${brokers:-localhost:9092}', 'properties.group.id' = '${group:-plamatio-cart_abandonment}', 'scan.startup.mode' = 'group-offsets'},
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601',
  'idle-timeout' = '${idle:-30 s}',
  'allowed-lateness' = '${lateness:-10 min}',
  'deduplicate.key' = 'source,id',
  'deduplicate.horizon' = '${horizon:-15 min}'
);

CREATE VIEW cart_activity AS
SELECT * FROM events
WHERE traffic = 'human' AND cart_id IS NOT NULL AND `type` NOT IN ('refund', 'purchase_item');

-- A cart's activity up to its timeout.
CREATE VIEW carts AS
SELECT
  window_start AS cart_start,
  cart_id,
  COUNT(*) FILTER (WHERE `type` = 'add_to_cart') AS adds,
  SUM(CASE `type` WHEN 'add_to_cart' THEN quantity WHEN 'remove_from_cart' THEN -quantity ELSE 0 END) AS items,
  COUNT(*) FILTER (WHERE `type` = 'begin_checkout') AS checkouts,
  COUNT(*) FILTER (WHERE `type` = 'purchase') AS purchases
FROM TABLE(SESSION(TABLE cart_activity PARTITION BY cart_id, DESCRIPTOR(event_time), INTERVAL '${timeout:-60}' MINUTE))
GROUP BY window_start, window_end, cart_id;

CREATE VIEW cart_abandonment AS
SELECT
  window_start,
  window_end,
  COUNT(*) FILTER (WHERE adds > 0) AS carts,
  COUNT(*) FILTER (WHERE adds > 0 AND items > 0 AND purchases = 0) AS abandoned,
  COUNT(*) FILTER (WHERE adds > 0 AND purchases > 0) AS purchased,
  CAST(COUNT(*) FILTER (WHERE adds > 0 AND items > 0 AND purchases = 0) AS DOUBLE)
    / NULLIF(COUNT(*) FILTER (WHERE adds > 0), 0) AS abandonment_rate,
  COUNT(*) FILTER (WHERE adds > 0 AND checkouts > 0) AS checkouts,
  COUNT(*) FILTER (WHERE adds > 0 AND checkouts > 0 AND purchases = 0) AS checkout_abandoned,
  CAST(COUNT(*) FILTER (WHERE adds > 0 AND checkouts > 0 AND purchases = 0) AS DOUBLE)
    / NULLIF(COUNT(*) FILTER (WHERE adds > 0 AND checkouts > 0), 0) AS checkout_abandonment_rate,
  COUNT(*) FILTER (WHERE adds = 0 AND purchases > 0) AS recovered
FROM TABLE(TUMBLE(TABLE carts, DESCRIPTOR(cart_start), INTERVAL '${window:-1}' MINUTE))
GROUP BY window_start, window_end;

-- Provisional rows as they change, then the final one: for dashboards.
CREATE TABLE cart_abandonment_live (
  window_start              TIMESTAMP_LTZ(3),
  window_end                TIMESTAMP_LTZ(3),
  carts                     BIGINT,
  abandoned                 BIGINT,
  purchased                 BIGINT,
  abandonment_rate          DOUBLE,
  checkouts                 BIGINT,
  checkout_abandoned        BIGINT,
  checkout_abandonment_rate DOUBLE,
  recovered                 BIGINT,
  PRIMARY KEY (window_start, window_end) NOT ENFORCED
) WITH (
  ${live:-'connector' = 'redis', 'url' = '${redis:-redis://localhost:6379}', 'shop' = '${shop:-default}', 'metric' = 'cart_abandonment'}
);

-- Final rows, once: for analysts.
CREATE TABLE cart_abandonment_lake WITH (
  ${final:-'connector' = 'delta', 'path' = '${lake:-plamatio-data/lake}/cart_abandonment'}
) LIKE cart_abandonment_live (EXCLUDING OPTIONS);

INSERT INTO cart_abandonment_live SELECT * FROM cart_abandonment;
INSERT INTO cart_abandonment_lake SELECT * FROM cart_abandonment;
