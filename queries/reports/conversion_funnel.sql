-- The funnel over everything in the lake: how many sessions reach each step, and from the step before.
--
-- Reads:     conversion (one row per window of session starts)
-- Sums:      a session lies in exactly one window, so session counts add up; visitors would not
--            (one visitor comes back in several windows).
-- Shares:    of all sessions, and of the sessions of the step before; NULL where there are none.
-- Overlap:   only windows that start at a multiple of their length are taken.
WITH totals AS (
    SELECT
        SUM(sessions) AS sessions,
        SUM(reached_view) AS view_item,
        SUM(reached_cart) AS add_to_cart,
        SUM(reached_checkout) AS begin_checkout,
        SUM(reached_purchase) AS purchase
    FROM conversion
    WHERE date_part('epoch', window_start) % (date_part('epoch', window_end) - date_part('epoch', window_start)) = 0
),
steps AS (
    SELECT 0 AS position, 'session' AS step, sessions AS reached, sessions FROM totals
    UNION ALL
    SELECT 1, 'view_item', view_item, sessions FROM totals
    UNION ALL
    SELECT 2, 'add_to_cart', add_to_cart, sessions FROM totals
    UNION ALL
    SELECT 3, 'begin_checkout', begin_checkout, sessions FROM totals
    UNION ALL
    SELECT 4, 'purchase', purchase, sessions FROM totals
)
SELECT
    step,
    reached AS sessions,
    CAST(reached AS DOUBLE) / NULLIF(sessions, 0) AS share_of_sessions,
    CAST(reached AS DOUBLE) / NULLIF(LAG(reached) OVER (ORDER BY position), 0) AS share_of_previous_step
FROM steps
ORDER BY position;
