-- Top products: the ten products with most views, units and revenue in the last ten minutes, every minute.
--
-- topics           product-views, cart-events, order-events
-- event time       "time" of the event
-- watermark delay  5 s (--set delay=SECONDS)
-- output key       (window_start, window_end, ranked_by, rank)
--
-- units and revenue are of paid orders' lines: revenue in minor units of one currency (--set currency=USD;
-- lines in other currencies count no revenue), net of discounts, without tax and shipping. cart_to_view_rate
-- is additions to a cart over views, purchase_to_view_rate order lines over views; NULL where there were no
-- views. Ties go to the lower product id. Bots, staff and test orders are left out.

CREATE TABLE events (
  id           STRING,
  source       STRING,
  `type`       STRING,
  `time`       TIMESTAMP_LTZ(3),
  traffic      STRING,
  anonymous_id STRING,
  product_id   BIGINT,
  quantity     BIGINT,
  value_minor  BIGINT,
  currency     STRING,
  event_time   AS `time`,
  WATERMARK FOR event_time AS event_time - INTERVAL '${delay:-5}' SECOND
) WITH (
  ${source:-'connector' = 'kafka', 'topic' = 'product-views;cart-events;order-events', 'properties.bootstrap.servers' = '${brokers:-localhost:9092}', 'properties.group.id' = '${group:-plamatio-top_products}', 'scan.startup.mode' = 'group-offsets'},
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601',
  'idle-timeout' = '${idle:-30 s}',
  'allowed-lateness' = '${lateness:-10 min}',
  'deduplicate.key' = 'source,id',
  'deduplicate.horizon' = '${horizon:-15 min}'
);

CREATE VIEW product_events AS
SELECT * FROM events
WHERE traffic = 'human' AND product_id IS NOT NULL AND `type` IN ('view_item', 'add_to_cart', 'purchase_item');

CREATE VIEW products AS
SELECT
  window_start,
  window_end,
  product_id,
  COUNT(*) FILTER (WHERE `type` = 'view_item') AS views,
  SUM(CASE WHEN `type` = 'purchase_item' THEN quantity ELSE 0 END) AS units,
  SUM(CASE WHEN `type` = 'purchase_item' AND currency = '${currency:-EUR}' THEN value_minor ELSE 0 END) AS revenue_minor,
  '${currency:-EUR}' AS currency,
  CAST(COUNT(*) FILTER (WHERE `type` = 'add_to_cart') AS DOUBLE)
    / NULLIF(COUNT(*) FILTER (WHERE `type` = 'view_item'), 0) AS cart_to_view_rate,
  CAST(COUNT(*) FILTER (WHERE `type` = 'purchase_item') AS DOUBLE)
    / NULLIF(COUNT(*) FILTER (WHERE `type` = 'view_item'), 0) AS purchase_to_view_rate
FROM TABLE(HOP(TABLE product_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE, INTERVAL '${window:-10}' MINUTE))
GROUP BY window_start, window_end, product_id;

CREATE VIEW top_products AS
SELECT * FROM (
  SELECT
    window_start, window_end, 'views' AS ranked_by,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY views DESC, product_id) AS `rank`,
    product_id, views, units, revenue_minor, currency, cart_to_view_rate, purchase_to_view_rate
  FROM products
) WHERE `rank` <= ${top:-10}
UNION ALL
SELECT * FROM (
  SELECT
    window_start, window_end, 'units' AS ranked_by,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY units DESC, product_id) AS `rank`,
    product_id, views, units, revenue_minor, currency, cart_to_view_rate, purchase_to_view_rate
  FROM products
) WHERE `rank` <= ${top:-10}
UNION ALL
SELECT * FROM (
  SELECT
    window_start, window_end, 'revenue' AS ranked_by,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY revenue_minor DESC, product_id) AS `rank`,
    product_id, views, units, revenue_minor, currency, cart_to_view_rate, purchase_to_view_rate
  FROM products
) WHERE `rank` <= ${top:-10};

-- Provisional rows as they change, then the final one: for dashboards.
CREATE TABLE top_products_live (
  window_start          TIMESTAMP_LTZ(3),
  window_end            TIMESTAMP_LTZ(3),
  ranked_by             STRING,
  `rank`                BIGINT,
  product_id            BIGINT,
  views                 BIGINT,
  units                 BIGINT,
  revenue_minor         BIGINT,
  currency              STRING,
  cart_to_view_rate     DOUBLE,
  purchase_to_view_rate DOUBLE,
  PRIMARY KEY (window_start, window_end, ranked_by, `rank`) NOT ENFORCED
) WITH (
  ${live:-'connector' = 'redis', 'url' = '${redis:-redis://localhost:6379}', 'shop' = '${shop:-default}', 'metric' = 'top_products'}
);

-- Final rows, once: for analysts.
CREATE TABLE top_products_lake WITH (
  ${final:-'connector' = 'delta', 'path' = '${lake:-plamatio-data/lake}/top_products'}
) LIKE top_products_live (EXCLUDING OPTIONS);

INSERT INTO top_products_live SELECT * FROM top_products;
INSERT INTO top_products_lake SELECT * FROM top_products;
