-- Units and revenue per day of the products that led the revenue ranking.
--
-- Reads:     top_products, the rows ranked by revenue
-- Day:       the day of window_start in the zone ${zone}
-- Sums:      the metric's windows overlap (each slide starts one), so adding all rows would count a
--            sale many times. Only windows that start at a multiple of their length are taken:
--            they follow each other without gap or overlap, and their units and revenue add up.
-- Bound:     a product has a row only for windows in which it was among the ranked ones, so a sum is
--            a lower bound for a product that was ranked in ranked_windows of the day's windows, and
--            the sum over products is not the shop's revenue (that is the orders' matter).
-- Money:     minor units of the currency beside them, net of discounts, without tax and shipping, refunds not taken off.
SELECT
    date_trunc('day', window_start AT TIME ZONE '${zone}') AS day,
    product_id,
    currency,
    COUNT(*) AS ranked_windows,
    MIN(rank) AS best_rank,
    SUM(units) AS units,
    SUM(revenue_minor) AS revenue_minor
FROM top_products
WHERE ranked_by = 'revenue'
    AND date_part('epoch', window_start) % (date_part('epoch', window_end) - date_part('epoch', window_start)) = 0
GROUP BY 1, product_id, currency
ORDER BY day, currency, revenue_minor DESC, product_id;
