-- Currency conversion: every bid's price in euros.
CREATE TABLE q1 (
  auction   BIGINT,
  bidder    BIGINT,
  price     DECIMAL(23, 3),
  date_time TIMESTAMP(3),
  extra     STRING
) WITH (${q1});

INSERT INTO q1
SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid;
