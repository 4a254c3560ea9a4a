-- Bids with what a table of the side says of their auction, as it is at the time of the clock.
CREATE TABLE side_input (
  `key`   BIGINT,
  `value` STRING
) WITH ('connector' = 'filesystem', 'path' = 'side_input.json', 'format' = 'json');

CREATE TABLE q13 (
  auction   BIGINT,
  bidder    BIGINT,
  price     BIGINT,
  date_time TIMESTAMP(3),
  `value`   STRING
) WITH (${q13});

INSERT INTO q13
SELECT B.auction, B.bidder, B.price, B.date_time, S.`value`
FROM (SELECT *, PROCTIME() AS p_time FROM bid) B
JOIN side_input FOR SYSTEM_TIME AS OF B.p_time AS S
ON MOD(B.auction, 10000) = S.`key`;
