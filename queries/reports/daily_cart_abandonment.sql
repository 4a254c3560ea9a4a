-- Cart and checkout abandonment per day.
--
-- Reads:     cart_abandonment (one row per window of cart starts)
-- Day:       the day of window_start in the zone ${zone}
-- Sums:      each stretch of a cart's activity lies in the one window in which it began, so carts and
--            checkouts add up. A purchase after abandonment is a stretch of its own: recovered counts
--            it on the day of the return, not on the day the cart was given up.
-- Rates:     computed from the day's sums; NULL when the day has no carts (or no checkouts).
-- Overlap:   only windows that start at a multiple of their length are taken.
SELECT
    date_trunc('day', window_start AT TIME ZONE '${zone}') AS day,
    SUM(carts) AS carts,
    SUM(abandoned) AS abandoned,
    SUM(purchased) AS purchased,
    CAST(SUM(abandoned) AS DOUBLE) / NULLIF(SUM(carts), 0) AS abandonment_rate,
    SUM(checkouts) AS checkouts,
    SUM(checkout_abandoned) AS checkout_abandoned,
    CAST(SUM(checkout_abandoned) AS DOUBLE) / NULLIF(SUM(checkouts), 0) AS checkout_abandonment_rate,
    SUM(recovered) AS recovered
FROM cart_abandonment
WHERE date_part('epoch', window_start) % (date_part('epoch', window_end) - date_part('epoch', window_start)) = 0
GROUP BY 1
ORDER BY day;
