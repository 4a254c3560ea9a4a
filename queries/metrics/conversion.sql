-- Conversion funnel: sessions by the minute in which they began, and how far they came.
--
-- topics           product-views, cart-events, order-events
-- event time       "time" of the event
-- watermark delay  5 s (--set delay=SECONDS)
-- output key       (window_start, window_end)
--
-- A session is one visitor's events with no gap over 30 minutes. A step counts when it was reached in order:
-- view_item, add_to_cart, begin_checkout, purchase; other events may lie between. conversion_rate is sessions
-- with a purchase over all sessions; cr_user is the same for visitors. Bots, staff and test orders are left
-- out. A window is final once every session that began in it is over, so half an hour after its end or later;
-- until then its provisional value is what it would be if all visitors left now.

CREATE TABLE events (
  id           STRING,
  source       STRING,
  `type`       STRING,
  `time`       TIMESTAMP_LTZ(3),
  traffic      STRING,
  anonymous_id STRING,
  event_time   AS `time`,
  WATERMARK FOR event_time AS event_time - INTERVAL '${delay:-5}' SECOND
) WITH (
  ${source:-'connector' = 'kafka', 'topic' = 'product-views;cart-events;order-events', 'properties.bootstrap.servers' = '${brokers:-localhost:9092}', 'properties.group.id' = '${group:-plamatio-conversion}', 'scan.startup.mode' = 'group-offsets'},
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601',
  'idle-timeout' = '${idle:-30 s}',
  'allowed-lateness' = '${lateness:-10 min}',
  'deduplicate.key' = 'source,id',
  'deduplicate.horizon' = '${horizon:-15 min}'
);

-- Refunds and order lines are the shop's doing, not the visitor's: they neither begin nor prolong a session.
CREATE VIEW visits AS
SELECT * FROM events
WHERE traffic = 'human' AND `type` NOT IN ('refund', 'purchase_item');

CREATE VIEW sessions AS
SELECT
  window_start AS session_start,
  anonymous_id,
  window_funnel(
    INTERVAL '30' DAY, 'default', event_time,
    `type` = 'view_item', `type` = 'add_to_cart', `type` = 'begin_checkout', `type` = 'purchase'
  ) AS steps,
  COUNT(*) FILTER (WHERE `type` = 'purchase') AS purchases
FROM TABLE(SESSION(TABLE visits PARTITION BY anonymous_id, DESCRIPTOR(event_time), INTERVAL '${gap:-30}' MINUTE))
GROUP BY window_start, window_end, anonymous_id;

CREATE VIEW conversion AS
SELECT
  window_start,
  window_end,
  COUNT(*) AS sessions,
  COUNT(*) FILTER (WHERE steps >= 1) AS reached_view,
  COUNT(*) FILTER (WHERE steps >= 2) AS reached_cart,
  COUNT(*) FILTER (WHERE steps >= 3) AS reached_checkout,
  COUNT(*) FILTER (WHERE steps >= 4) AS reached_purchase,
  COUNT(*) FILTER (WHERE purchases > 0) AS purchasing_sessions,
  CAST(COUNT(*) FILTER (WHERE purchases > 0) AS DOUBLE) / NULLIF(COUNT(*), 0) AS conversion_rate,
  COUNT(DISTINCT anonymous_id) AS visitors,
  COUNT(DISTINCT anonymous_id) FILTER (WHERE purchases > 0) AS purchasing_visitors,
  CAST(COUNT(DISTINCT anonymous_id) FILTER (WHERE purchases > 0) AS DOUBLE)
    / NULLIF(COUNT(DISTINCT anonymous_id), 0) AS cr_user
FROM TABLE(TUMBLE(TABLE sessions, DESCRIPTOR(session_start), INTERVAL '${window:-1}' MINUTE))
GROUP BY window_start, window_end;

-- Provisional rows as they change, then the final one: for dashboards.
CREATE TABLE conversion_live (
  window_start        TIMESTAMP_LTZ(3),
  window_end          TIMESTAMP_LTZ(3),
  sessions            BIGINT,
  reached_view        BIGINT,
  reached_cart        BIGINT,
  reached_checkout    BIGINT,
  reached_purchase    BIGINT,
  purchasing_sessions BIGINT,
  conversion_rate     DOUBLE,
  visitors            BIGINT,
  purchasing_visitors BIGINT,
  cr_user             DOUBLE,
  PRIMARY KEY (window_start, window_end) NOT ENFORCED
) WITH (
  ${live:-'connector' = 'redis', 'url' = '${redis:-redis://localhost:6379}', 'shop' = '${shop:-default}', 'metric' = 'conversion'}
);

-- Final rows, once: for analysts.
CREATE TABLE conversion_lake WITH (
  ${final:-'connector' = 'delta', 'path' = '${lake:-plamatio-data/lake}/conversion'}
) LIKE conversion_live (EXCLUDING OPTIONS);

INSERT INTO conversion_live SELECT * FROM conversion;
INSERT INTO conversion_lake SELECT * FROM conversion;
