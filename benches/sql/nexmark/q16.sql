-- Channel statistics of each day.
CREATE TABLE q16 (
  channel       STRING,
  `day`         STRING,
  `minute`      STRING,
  total_bids    BIGINT,
  rank1_bids    BIGINT,
  total_bidders BIGINT
) WITH (${q16});

INSERT INTO q16
SELECT
  channel,
  DATE_FORMAT(date_time, 'yyyy-MM-dd') AS `day`,
  MAX(DATE_FORMAT(date_time, 'HH:mm')) AS `minute`,
  COUNT(*) AS total_bids,
  COUNT(*) FILTER (WHERE price < 10000) AS rank1_bids,
  COUNT(DISTINCT bidder) AS total_bidders
FROM bid
GROUP BY channel, DATE_FORMAT(date_time, 'yyyy-MM-dd');
