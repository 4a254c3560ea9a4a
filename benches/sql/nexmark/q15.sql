-- Bidding statistics of each day.
CREATE TABLE q15 (
  `day`         STRING,
  total_bids    BIGINT,
  rank1_bids    BIGINT,
  total_bidders BIGINT
) WITH (${q15});

INSERT INTO q15
SELECT
  DATE_FORMAT(date_time, 'yyyy-MM-dd') AS `day`,
  COUNT(*) AS total_bids,
  COUNT(*) FILTER (WHERE price < 10000) AS rank1_bids,
  COUNT(DISTINCT bidder) AS total_bidders
FROM bid
GROUP BY DATE_FORMAT(date_time, 'yyyy-MM-dd');
