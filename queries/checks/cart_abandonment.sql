-- Rows of cart_abandonment (final, from the stream) that differ from batch SQL over the raw events, either way.
-- Events that came too late for a window are left out of the batch, as they were set aside in the stream.
WITH late AS (
  SELECT (regexp_match(CAST(payload AS VARCHAR), '"id":"([^"]+)"'))[1] AS id
  FROM dead_letters.cart_abandonment WHERE kind = 'late'
),
activity AS (
  SELECT cart_id, type, quantity, event_time FROM events
  WHERE traffic = 'human' AND cart_id IS NOT NULL AND type NOT IN ('refund', 'purchase_item')
    AND id NOT IN (SELECT id FROM late)
),
-- An activity ends where nothing happens to the cart for an hour.
marked AS (
  SELECT *,
    CASE WHEN event_time <= LAG(event_time) OVER (PARTITION BY cart_id ORDER BY event_time) + INTERVAL '60 minutes'
      THEN 0 ELSE 1 END AS begins
  FROM activity
),
numbered AS (
  SELECT *, SUM(begins) OVER (
    PARTITION BY cart_id ORDER BY event_time ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS part
  FROM marked
),
carts AS (
  SELECT cart_id, part, date_trunc('minute', MIN(event_time)) AS window_start,
    SUM(CASE WHEN type = 'add_to_cart' THEN 1 ELSE 0 END) AS adds,
    SUM(CASE WHEN type = 'add_to_cart' THEN quantity WHEN type = 'remove_from_cart' THEN 0 - quantity ELSE 0 END) AS items,
    SUM(CASE WHEN type = 'begin_checkout' THEN 1 ELSE 0 END) AS checkouts,
    SUM(CASE WHEN type = 'purchase' THEN 1 ELSE 0 END) AS purchases
  FROM numbered GROUP BY cart_id, part
),
judged AS (
  SELECT window_start,
    CAST(adds > 0 AS BIGINT) AS started,
    CAST(adds > 0 AND items > 0 AND purchases = 0 AS BIGINT) AS given_up,
    CAST(adds > 0 AND purchases > 0 AS BIGINT) AS bought,
    CAST(adds > 0 AND checkouts > 0 AS BIGINT) AS at_checkout,
    CAST(adds > 0 AND checkouts > 0 AND purchases = 0 AS BIGINT) AS left_checkout,
    CAST(adds = 0 AND purchases > 0 AS BIGINT) AS came_back
  FROM carts
),
batch AS (
  SELECT
    CAST(window_start AS TIMESTAMP) AS window_start, SUM(started) AS carts, SUM(given_up) AS abandoned,
    SUM(bought) AS purchased,
    CASE WHEN SUM(started) = 0 THEN NULL ELSE CAST(SUM(given_up) AS DOUBLE) / SUM(started) END AS abandonment_rate,
    SUM(at_checkout) AS checkouts, SUM(left_checkout) AS checkout_abandoned,
    CASE WHEN SUM(at_checkout) = 0 THEN NULL ELSE CAST(SUM(left_checkout) AS DOUBLE) / SUM(at_checkout) END
      AS checkout_abandonment_rate,
    SUM(came_back) AS recovered
  FROM judged GROUP BY window_start
),
stream AS (
  SELECT
    CAST(window_start AS TIMESTAMP) AS window_start, carts, abandoned, purchased, abandonment_rate, checkouts,
    checkout_abandoned, checkout_abandonment_rate, recovered
  FROM cart_abandonment
)
SELECT 'batch only' AS side, * FROM (SELECT * FROM batch EXCEPT SELECT * FROM stream)
UNION ALL
SELECT 'stream only' AS side, * FROM (SELECT * FROM stream EXCEPT SELECT * FROM batch)
