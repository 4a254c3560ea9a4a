-- Auction statistics of each day.
CREATE TABLE q17 (
  auction    BIGINT,
  `day`      STRING,
  total_bids BIGINT,
  min_price  BIGINT,
  max_price  BIGINT
) WITH (${q17});

INSERT INTO q17
SELECT
  auction,
  DATE_FORMAT(date_time, 'yyyy-MM-dd') AS `day`,
  COUNT(*) AS total_bids,
  MIN(price) AS min_price,
  MAX(price) AS max_price
FROM bid
GROUP BY auction, DATE_FORMAT(date_time, 'yyyy-MM-dd');
