-- A log of all bids. The original writes a folder for each day and minute; here both are columns alone.
CREATE TABLE q10 (
  auction   BIGINT,
  bidder    BIGINT,
  price     BIGINT,
  date_time TIMESTAMP(3),
  extra     STRING,
  dt        STRING,
  hm        STRING
) WITH (${q10});

INSERT INTO q10
SELECT auction, bidder, price, date_time, extra, DATE_FORMAT(date_time, 'yyyy-MM-dd'), DATE_FORMAT(date_time, 'HH:mm')
FROM bid;
