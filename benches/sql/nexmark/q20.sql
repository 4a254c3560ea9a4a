-- Bids with their auction, of one category.
CREATE TABLE q20 (
  auction   BIGINT,
  bidder    BIGINT,
  price     BIGINT,
  item_name STRING,
  seller    BIGINT
) WITH (${q20});

INSERT INTO q20
SELECT B.auction, B.bidder, B.price, A.item_name, A.seller
FROM bid AS B INNER JOIN auction AS A ON B.auction = A.id
WHERE A.category = 10;
