-- The funnel with what tells its reader which events it has counted: how many of each lane. A lane is a Kafka
-- partition, its session ids begin with its number, and its events are counted in their order.
CREATE TABLE funnel (
  window_start TIMESTAMP_LTZ(3),
  window_end   TIMESTAMP_LTZ(3),
  viewed       BIGINT,
  carted       BIGINT,
  ordered      BIGINT,
  lane_0       BIGINT,
  lane_1       BIGINT,
  lane_2       BIGINT,
  lane_3       BIGINT
) WITH (${funnel});

INSERT INTO funnel
SELECT
  window_start, window_end,
  COUNT(DISTINCT session_id) FILTER (WHERE event_type = 'product_viewed') AS viewed,
  COUNT(DISTINCT session_id) FILTER (WHERE event_type = 'cart_item_added') AS carted,
  COUNT(DISTINCT session_id) FILTER (WHERE event_type = 'order_completed') AS ordered,
  COUNT(*) FILTER (WHERE session_id LIKE '00%') AS lane_0,
  COUNT(*) FILTER (WHERE session_id LIKE '01%') AS lane_1,
  COUNT(*) FILTER (WHERE session_id LIKE '02%') AS lane_2,
  COUNT(*) FILTER (WHERE session_id LIKE '03%') AS lane_3
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
