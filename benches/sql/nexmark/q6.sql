-- The average price of each seller's last ten auctions. Flink does not run this one either.
CREATE TABLE q6 (
  seller    BIGINT,
  avg_price BIGINT
) WITH (${q6});

INSERT INTO q6
SELECT Q.seller, AVG(Q.price) OVER (PARTITION BY Q.seller ORDER BY Q.date_time ROWS BETWEEN 10 PRECEDING AND CURRENT ROW)
FROM (
  SELECT * FROM (
    SELECT A.id, A.seller, B.price, B.date_time,
      ROW_NUMBER() OVER (PARTITION BY A.id, A.seller ORDER BY B.price DESC) AS place
    FROM auction AS A, bid AS B
    WHERE A.id = B.auction AND B.date_time BETWEEN A.date_time AND A.expires
  ) WHERE place <= 1
) AS Q;
