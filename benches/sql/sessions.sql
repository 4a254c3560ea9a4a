-- What each visit came to; a visit ends after 30 seconds without an event.
CREATE TABLE sessions (
  window_start  TIMESTAMP_LTZ(3),
  window_end    TIMESTAMP_LTZ(3),
  session_id    STRING,
  `views`       BIGINT,
  additions     BIGINT,
  revenue_cents BIGINT
) WITH (${sessions});

INSERT INTO sessions
SELECT
  window_start, window_end, session_id,
  COUNT(*) FILTER (WHERE event_type = 'product_viewed') AS `views`,
  COUNT(*) FILTER (WHERE event_type = 'cart_item_added') AS additions,
  SUM(CASE WHEN event_type = 'order_completed' THEN quantity * price_cents ELSE 0 END) AS revenue_cents
FROM TABLE(SESSION(TABLE events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '30' SECOND))
GROUP BY window_start, window_end, session_id;
