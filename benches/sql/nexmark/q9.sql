-- The winning bid of every auction.
CREATE TABLE q9 (
  id        BIGINT,
  item_name STRING,
  auction   BIGINT,
  bidder    BIGINT,
  price     BIGINT
) WITH (${q9});

INSERT INTO q9
SELECT id, item_name, auction, bidder, price
FROM (
  SELECT A.id, A.item_name, B.auction, B.bidder, B.price,
    ROW_NUMBER() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.date_time ASC) AS place
  FROM auction A, bid B
  WHERE A.id = B.auction AND B.date_time BETWEEN A.date_time AND A.expires
)
WHERE place <= 1;
