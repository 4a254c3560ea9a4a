-- Ten products with the most revenue in the last ten minutes, every minute.
CREATE TABLE top_products (
  window_start  TIMESTAMP_LTZ(3),
  window_end    TIMESTAMP_LTZ(3),
  `rank`        BIGINT,
  product_id    BIGINT,
  revenue_cents BIGINT,
  units         BIGINT,
  `views`       BIGINT
) WITH (${top_products});

INSERT INTO top_products
SELECT window_start, window_end, `rank`, product_id, revenue_cents, units, `views`
FROM (
  SELECT
    window_start, window_end, product_id, revenue_cents, units, `views`,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY revenue_cents DESC, product_id ASC) AS `rank`
  FROM (
    SELECT
      window_start, window_end, product_id,
      SUM(CASE WHEN event_type = 'order_completed' THEN quantity * price_cents ELSE 0 END) AS revenue_cents,
      SUM(CASE WHEN event_type = 'order_completed' THEN quantity ELSE 0 END) AS units,
      COUNT(*) FILTER (WHERE event_type = 'product_viewed') AS `views`
    FROM TABLE(HOP(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE, INTERVAL '10' MINUTE))
    GROUP BY window_start, window_end, product_id
  )
)
WHERE `rank` <= 10;
