-- Rows of top_products (final, from the stream) that differ from batch SQL over the raw events, either way.
-- Events that came too late for a window are left out of the batch, as they were set aside in the stream.
WITH late AS (
  SELECT (regexp_match(CAST(payload AS VARCHAR), '"id":"([^"]+)"'))[1] AS id
  FROM dead_letters.top_products WHERE kind = 'late'
),
counted AS (
  SELECT * FROM events
  WHERE traffic = 'human' AND product_id IS NOT NULL AND type IN ('view_item', 'add_to_cart', 'purchase_item')
    AND id NOT IN (SELECT id FROM late)
),
-- Every event is in the ten windows that end in the next ten minutes.
ahead(by_minutes) AS (
  VALUES (INTERVAL '1 minute'), (INTERVAL '2 minutes'), (INTERVAL '3 minutes'), (INTERVAL '4 minutes'),
    (INTERVAL '5 minutes'), (INTERVAL '6 minutes'), (INTERVAL '7 minutes'), (INTERVAL '8 minutes'),
    (INTERVAL '9 minutes'), (INTERVAL '10 minutes')
),
windowed AS (
  SELECT date_trunc('minute', event_time) + by_minutes AS window_end, counted.*
  FROM counted CROSS JOIN ahead
),
products AS (
  SELECT
    window_end, product_id,
    SUM(CASE WHEN type = 'view_item' THEN 1 ELSE 0 END) AS views,
    SUM(CASE WHEN type = 'add_to_cart' THEN 1 ELSE 0 END) AS adds,
    SUM(CASE WHEN type = 'purchase_item' THEN 1 ELSE 0 END) AS purchases,
    SUM(CASE WHEN type = 'purchase_item' THEN quantity ELSE 0 END) AS units,
    SUM(CASE WHEN type = 'purchase_item' AND currency = 'EUR' THEN value_minor ELSE 0 END) AS revenue_minor
  FROM windowed GROUP BY window_end, product_id
),
ranked AS (
  SELECT *, 'views' AS ranked_by,
    ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY views DESC, product_id) AS place FROM products
  UNION ALL
  SELECT *, 'units', ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY units DESC, product_id) FROM products
  UNION ALL
  SELECT *, 'revenue', ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY revenue_minor DESC, product_id) FROM products
),
batch AS (
  SELECT
    CAST(window_end AS TIMESTAMP) AS window_end, ranked_by, CAST(place AS BIGINT) AS place, product_id,
    CAST(views AS BIGINT) AS views, CAST(units AS BIGINT) AS units, CAST(revenue_minor AS BIGINT) AS revenue_minor,
    CASE WHEN views = 0 THEN NULL ELSE CAST(adds AS DOUBLE) / views END AS cart_to_view_rate,
    CASE WHEN views = 0 THEN NULL ELSE CAST(purchases AS DOUBLE) / views END AS purchase_to_view_rate
  FROM ranked WHERE place <= 10
),
stream AS (
  SELECT
    CAST(window_end AS TIMESTAMP) AS window_end, ranked_by, "rank" AS place, product_id, views, units, revenue_minor,
    cart_to_view_rate, purchase_to_view_rate
  FROM top_products
)
SELECT 'batch only' AS side, * FROM (SELECT * FROM batch EXCEPT SELECT * FROM stream)
UNION ALL
SELECT 'stream only' AS side, * FROM (SELECT * FROM stream EXCEPT SELECT * FROM batch)
