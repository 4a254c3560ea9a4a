-- Distinct sessions that viewed, put into the cart and ordered, every minute.
CREATE TABLE funnel (
  window_start TIMESTAMP_LTZ(3),
  window_end   TIMESTAMP_LTZ(3),
  viewed       BIGINT,
  carted       BIGINT,
  ordered      BIGINT
) WITH (${funnel});

INSERT INTO funnel
SELECT
  window_start, window_end,
  COUNT(DISTINCT session_id) FILTER (WHERE event_type = 'product_viewed') AS viewed,
  COUNT(DISTINCT session_id) FILTER (WHERE event_type = 'cart_item_added') AS carted,
  COUNT(DISTINCT session_id) FILTER (WHERE event_type = 'order_completed') AS ordered
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
