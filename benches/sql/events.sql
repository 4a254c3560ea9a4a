-- The events of the three metrics: the columns that they use. The other five fields of an event are skipped.
CREATE TABLE events (
  event_type  STRING,
  event_time  TIMESTAMP_LTZ(3),
  session_id  STRING,
  product_id  BIGINT,
  quantity    BIGINT,
  price_cents BIGINT,
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH (
  ${source},
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);
