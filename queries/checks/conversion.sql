-- Rows of conversion (final, from the stream) that differ from batch SQL over the raw events, either way.
-- Events that came too late for a window are left out of the batch, as they were set aside in the stream.
WITH late AS (
  SELECT (regexp_match(CAST(payload AS VARCHAR), '"id":"([^"]+)"'))[1] AS id
  FROM dead_letters.conversion WHERE kind = 'late'
),
visits AS (
  SELECT anonymous_id, type, event_time FROM events
  WHERE traffic = 'human' AND type NOT IN ('refund', 'purchase_item') AND id NOT IN (SELECT id FROM late)
),
-- A session begins where the visitor's last event is more than half an hour back.
marked AS (
  SELECT *,
    CASE WHEN event_time <= LAG(event_time) OVER (PARTITION BY anonymous_id ORDER BY event_time) + INTERVAL '30 minutes'
      THEN 0 ELSE 1 END AS begins
  FROM visits
),
numbered AS (
  SELECT *, SUM(begins) OVER (
    PARTITION BY anonymous_id ORDER BY event_time ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS session
  FROM marked
),
begun AS (
  SELECT anonymous_id, session, MIN(event_time) AS session_start,
    MIN(CASE WHEN type = 'view_item' THEN event_time END) AS viewed_at,
    SUM(CASE WHEN type = 'purchase' THEN 1 ELSE 0 END) AS purchases
  FROM numbered GROUP BY anonymous_id, session
),
-- Each step at its first time after the step before.
carted AS (
  SELECT b.anonymous_id, b.session, MIN(n.event_time) AS carted_at
  FROM begun b JOIN numbered n ON n.anonymous_id = b.anonymous_id AND n.session = b.session
  WHERE n.type = 'add_to_cart' AND n.event_time >= b.viewed_at GROUP BY b.anonymous_id, b.session
),
checked_out AS (
  SELECT b.anonymous_id, b.session, MIN(n.event_time) AS checkout_at
  FROM carted b JOIN numbered n ON n.anonymous_id = b.anonymous_id AND n.session = b.session
  WHERE n.type = 'begin_checkout' AND n.event_time >= b.carted_at GROUP BY b.anonymous_id, b.session
),
purchased AS (
  SELECT b.anonymous_id, b.session, MIN(n.event_time) AS purchased_at
  FROM checked_out b JOIN numbered n ON n.anonymous_id = b.anonymous_id AND n.session = b.session
  WHERE n.type = 'purchase' AND n.event_time >= b.checkout_at GROUP BY b.anonymous_id, b.session
),
sessions AS (
  SELECT date_trunc('minute', b.session_start) AS window_start, b.anonymous_id, b.purchases,
    b.viewed_at, c.carted_at, o.checkout_at, p.purchased_at
  FROM begun b
  LEFT JOIN carted c ON c.anonymous_id = b.anonymous_id AND c.session = b.session
  LEFT JOIN checked_out o ON o.anonymous_id = b.anonymous_id AND o.session = b.session
  LEFT JOIN purchased p ON p.anonymous_id = b.anonymous_id AND p.session = b.session
),
batch AS (
  SELECT
    CAST(window_start AS TIMESTAMP) AS window_start, COUNT(*) AS sessions, COUNT(viewed_at) AS reached_view,
    COUNT(carted_at) AS reached_cart, COUNT(checkout_at) AS reached_checkout, COUNT(purchased_at) AS reached_purchase,
    CAST(SUM(CASE WHEN purchases > 0 THEN 1 ELSE 0 END) AS BIGINT) AS purchasing_sessions,
    CAST(SUM(CASE WHEN purchases > 0 THEN 1 ELSE 0 END) AS DOUBLE) / COUNT(*) AS conversion_rate,
    COUNT(DISTINCT anonymous_id) AS visitors,
    COUNT(DISTINCT CASE WHEN purchases > 0 THEN anonymous_id END) AS purchasing_visitors,
    CAST(COUNT(DISTINCT CASE WHEN purchases > 0 THEN anonymous_id END) AS DOUBLE)
      / COUNT(DISTINCT anonymous_id) AS cr_user
  FROM sessions GROUP BY window_start
),
stream AS (
  SELECT
    CAST(window_start AS TIMESTAMP) AS window_start, sessions, reached_view, reached_cart, reached_checkout,
    reached_purchase, purchasing_sessions, conversion_rate, visitors, purchasing_visitors, cr_user
  FROM conversion
)
SELECT 'batch only' AS side, * FROM (SELECT * FROM batch EXCEPT SELECT * FROM stream)
UNION ALL
SELECT 'stream only' AS side, * FROM (SELECT * FROM stream EXCEPT SELECT * FROM batch)
