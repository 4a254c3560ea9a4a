-- Google Analytics 4: revenue by item, and sessions, by the minute.
--
-- input            events as GA4 exports them to BigQuery, one JSON object a line (as `bq extract` writes them:
--                  whole numbers are strings)
-- event time       event_timestamp, microseconds since 1970
-- watermark delay  5 s
-- output key       (window_start, item_id) and (window_start)
--
-- plamatio run queries/examples/ga4.sql

CREATE TABLE events (
  event_name      STRING,
  event_timestamp STRING,
  user_pseudo_id  STRING,
  event_params    ARRAY<ROW<`key` STRING, `value` ROW<string_value STRING, int_value STRING, double_value DOUBLE>>>,
  items           ARRAY<ROW<item_id STRING, item_name STRING, price DOUBLE, quantity STRING>>,
  event_time      AS TO_TIMESTAMP_LTZ(CAST(event_timestamp AS BIGINT) / 1000, 3),
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH (
  ${source:-'connector' = 'filesystem', 'path' = 'queries/examples/ga4.jsonl'},
  'format' = 'json'
);

-- A row for each item of a purchase.
CREATE VIEW bought AS
SELECT event_time, i.item_id, i.item_name, i.price, CAST(i.quantity AS BIGINT) AS quantity
FROM events CROSS JOIN UNNEST(items) AS i
WHERE event_name = 'purchase';

-- A row for each event with a session's number among its parameters.
CREATE VIEW visits AS
SELECT event_time, user_pseudo_id, p.content.int_value AS session_id
FROM events CROSS JOIN UNNEST(event_params) AS p (name, content)
WHERE p.name = 'ga_session_id';

CREATE TABLE items_by_minute (
  window_start TIMESTAMP_LTZ(3),
  item_id      STRING,
  item_name    STRING,
  pieces       BIGINT,
  revenue      DOUBLE
) WITH (${items:-'connector' = 'print', 'emit' = 'final'});

CREATE TABLE sessions_by_minute (
  window_start TIMESTAMP_LTZ(3),
  sessions     BIGINT,
  visitors     BIGINT
) WITH (${sessions:-'connector' = 'print', 'emit' = 'final'});

INSERT INTO items_by_minute
SELECT window_start, item_id, item_name, SUM(quantity), SUM(price * quantity)
FROM TABLE(TUMBLE(TABLE bought, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, item_id, item_name;

INSERT INTO sessions_by_minute
SELECT window_start, COUNT(DISTINCT session_id), COUNT(DISTINCT user_pseudo_id)
FROM TABLE(TUMBLE(TABLE visits, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
