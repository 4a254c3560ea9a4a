-- Pass through: every bid as it is.
CREATE TABLE q0 (
  auction   BIGINT,
  bidder    BIGINT,
  price     BIGINT,
  date_time TIMESTAMP(3),
  extra     STRING
) WITH (${q0});

INSERT INTO q0
SELECT auction, bidder, price, date_time, extra FROM bid;
