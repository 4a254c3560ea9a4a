-- Segment: views and visitors by page, and what was put into carts by campaign, by the minute.
--
-- input            Segment's calls as its Kafka or file destinations write them, one JSON object a line
-- event time       timestamp
-- watermark delay  5 s
-- output key       (window_start, path) and (window_start, campaign)
--
-- plamatio run queries/examples/segment.sql

CREATE TABLE calls (
  `type`      STRING,
  event       STRING,
  messageId   STRING,
  anonymousId STRING,
  `timestamp` TIMESTAMP_LTZ(3),
  context     ROW<page ROW<path STRING, referrer STRING>, campaign ROW<source STRING, medium STRING>>,
  properties  MAP<STRING, STRING>,
  WATERMARK FOR `timestamp` AS `timestamp` - INTERVAL '5' SECOND
) WITH (
  ${source:-'connector' = 'filesystem', 'path' = 'queries/examples/segment.jsonl'},
  'format' = 'json',
  -- Segment delivers at least once.
  'deduplicate.key' = 'messageId'
);

CREATE VIEW views AS
SELECT `timestamp` AS event_time, anonymousId, context.page.path AS path
FROM calls
WHERE `type` = 'page';

CREATE VIEW added AS
SELECT
  `timestamp` AS event_time,
  COALESCE(context.campaign.source, 'none') AS campaign,
  COALESCE(CAST(properties['quantity'] AS BIGINT), 1) AS quantity,
  CAST(properties['price'] AS DECIMAL(10, 2)) AS price
FROM calls
WHERE `type` = 'track' AND event = 'Product Added';

CREATE TABLE pages_by_minute (
  window_start TIMESTAMP_LTZ(3),
  path         STRING,
  views        BIGINT,
  visitors     BIGINT
) WITH (${pages:-'connector' = 'print', 'emit' = 'final'});

CREATE TABLE added_by_minute (
  window_start TIMESTAMP_LTZ(3),
  campaign     STRING,
  pieces       BIGINT,
  amount       DECIMAL(18, 2)
) WITH (${added:-'connector' = 'print', 'emit' = 'final'});

INSERT INTO pages_by_minute
SELECT window_start, path, COUNT(*), COUNT(DISTINCT anonymousId)
FROM TABLE(TUMBLE(TABLE views, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, path;

INSERT INTO added_by_minute
SELECT window_start, campaign, SUM(quantity), SUM(price * quantity)
FROM TABLE(TUMBLE(TABLE added, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, campaign;
