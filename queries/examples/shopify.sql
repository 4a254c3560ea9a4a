-- Shopify: pieces and revenue by product, in windows of five minutes.
--
-- input            orders as the webhook orders/create sends them, one JSON object a line (prices are strings)
-- event time       created_at, with the shop's zone
-- watermark delay  5 s
-- output key       (window_start, product)
--
-- plamatio run queries/examples/shopify.sql

CREATE TABLE orders (
  id         BIGINT,
  created_at TIMESTAMP_LTZ(3),
  test       BOOLEAN,
  currency   STRING,
  customer   ROW<id BIGINT>,
  line_items ARRAY<ROW<product_id BIGINT, title STRING, quantity INT, price STRING>>,
  WATERMARK FOR created_at AS created_at - INTERVAL '5' SECOND
) WITH (
  ${source:-'connector' = 'filesystem', 'path' = 'queries/examples/shopify.jsonl'},
  'format' = 'json',
  -- Webhooks come at least once.
  'deduplicate.key' = 'id'
);

CREATE TABLE products (
  window_start TIMESTAMP_LTZ(3),
  product      STRING,
  currency     STRING,
  orders       BIGINT,
  customers    BIGINT,
  pieces       BIGINT,
  revenue      DECIMAL(18, 2)
) WITH (${products:-'connector' = 'print', 'emit' = 'final'});

CREATE VIEW lines AS
SELECT o.created_at, o.id, o.currency, o.customer.id AS customer_id, l.title, l.quantity,
  CAST(l.price AS DECIMAL(12, 2)) AS price
FROM orders AS o CROSS JOIN UNNEST(o.line_items) AS l
WHERE NOT o.test;

INSERT INTO products
SELECT window_start, title, currency, COUNT(DISTINCT id), COUNT(DISTINCT customer_id), SUM(quantity), SUM(price * quantity)
FROM TABLE(TUMBLE(TABLE lines, DESCRIPTOR(created_at), INTERVAL '5' MINUTE))
GROUP BY window_start, window_end, title, currency;
