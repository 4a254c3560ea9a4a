-- The ten highest bids of each auction.
CREATE TABLE q19 (
  auction BIGINT,
  bidder  BIGINT,
  price   BIGINT,
  place   BIGINT
) WITH (${q19});

INSERT INTO q19
SELECT auction, bidder, price, place
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS place FROM bid
)
WHERE place <= 10;
