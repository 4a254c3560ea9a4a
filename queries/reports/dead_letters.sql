-- Records that were set aside, per day, table, kind, topic and reason.
--
-- Reads:     dead_letters, or each table of the schema dead_letters where several jobs share a lake
--            (one row per record, with its raw bytes)
-- Day:       the day of set_aside_at in the zone ${zone}; event_time is unknown for a record that
--            could not be read
-- Sums:      each record is one row of a job's table; a record that is redriven and fails again is
--            another. Do not add up over dead_letter_table: jobs that read the same topic each set
--            the same bad record aside.
-- Next:      first_offset says where to look: SELECT payload FROM dead_letters WHERE topic = ...
SELECT
    date_trunc('day', set_aside_at AT TIME ZONE '${zone}') AS day,
    dead_letter_table,
    kind,
    topic,
    reason,
    COUNT(*) AS records,
    MIN("offset") AS first_offset,
    MIN(set_aside_at) AS first_set_aside,
    MAX(set_aside_at) AS last_set_aside
FROM (${dead_letters}) AS letters
GROUP BY 1, dead_letter_table, kind, topic, reason
ORDER BY day, dead_letter_table, records DESC, kind, topic, reason;
