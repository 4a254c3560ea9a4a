-- The last bid of each bidder for each auction.
CREATE TABLE q18 (
  auction   BIGINT,
  bidder    BIGINT,
  price     BIGINT,
  date_time TIMESTAMP(3)
) WITH (${q18});

INSERT INTO q18
SELECT auction, bidder, price, date_time
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC) AS place FROM bid
)
WHERE place <= 1;
