-- Hot items: the auction with the most bids in the last ten seconds, every two seconds. The original joins each
-- auction's count with the window's maximum, and so answers all auctions with it; this takes the first by rank, and
-- of several with one count the lowest id.
CREATE TABLE q5 (
  window_start TIMESTAMP(3),
  window_end   TIMESTAMP(3),
  auction      BIGINT,
  num          BIGINT
) WITH (${q5});

INSERT INTO q5
SELECT window_start, window_end, auction, num
FROM (
  SELECT
    window_start, window_end, auction, num,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY num DESC, auction ASC) AS place
  FROM (
    SELECT window_start, window_end, auction, COUNT(*) AS num
    FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
    GROUP BY window_start, window_end, auction
  )
)
WHERE place <= 1;
