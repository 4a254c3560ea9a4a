-- Records that were set aside, per day, kind, topic and reason.
--
-- Reads:     dead_letters (one row per record, with its raw bytes)
-- Day:       the day of set_aside_at in the zone ${zone}; event_time is unknown for a record that
--            could not be read
-- Sums:      each record is one row; a record that is redriven and fails again is another.
-- Next:      first_offset says where to look: SELECT payload FROM dead_letters WHERE topic = ...
SELECT
    date_trunc('day', set_aside_at AT TIME ZONE '${zone}') AS day,
    kind,
    topic,
    reason,
    COUNT(*) AS records,
    MIN("offset") AS first_offset,
    MIN(set_aside_at) AS first_set_aside,
    MAX(set_aside_at) AS last_set_aside
FROM dead_letters
GROUP BY 1, kind, topic, reason
ORDER BY day, records DESC, kind, topic, reason;
