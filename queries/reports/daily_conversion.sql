-- Conversion per day: sessions, the steps they reached, and the share that purchased.
--
-- Reads:     conversion (one row per window of session starts)
-- Day:       the day of window_start in the zone ${zone}; days of a clock change have 23 or 25 hours
-- Sums:      a session lies in exactly one window (that of its first event), so session counts add
--            up. Visitors do not: one visitor comes back in several windows and would be counted
--            again, so visitors, purchasing_visitors and cr_user have no daily sum here; count
--            them from the raw events with COUNT(DISTINCT anonymous_id).
-- Rates:     computed from the day's sums, never as an average of rates; NULL when the day has no
--            sessions.
-- Overlap:   only windows that start at a multiple of their length are taken, so that the sums
--            stay right when the metric is redeclared with overlapping windows.
SELECT
    date_trunc('day', window_start AT TIME ZONE '${zone}') AS day,
    SUM(sessions) AS sessions,
    SUM(reached_view) AS reached_view,
    SUM(reached_cart) AS reached_cart,
    SUM(reached_checkout) AS reached_checkout,
    SUM(reached_purchase) AS reached_purchase,
    SUM(purchasing_sessions) AS purchasing_sessions,
    CAST(SUM(purchasing_sessions) AS DOUBLE) / NULLIF(SUM(sessions), 0) AS conversion_rate
FROM conversion
WHERE date_part('epoch', window_start) % (date_part('epoch', window_end) - date_part('epoch', window_start)) = 0
GROUP BY 1
ORDER BY day;
