//! Conditions on texts, which the decoder computes once per distinct text: the answers, and what is decoded.

use insta::assert_snapshot;

use crate::run::{check, plan};

const EVENTS: &str = "
    time      k  v
    12:00:01  a  5
    12:00:04  b  2
    12:00:59  a  1
    12:01:00  a  10
    12:00:58  b  3
    12:01:30  c  9
    12:02:30  -  7";

const QUERY: &str = "
    SELECT window_start,
           COUNT(*) FILTER (WHERE k = 'a'), COUNT(*) FILTER (WHERE k <> 'a'),
           COUNT(*) FILTER (WHERE k IN ('a', 'b') AND v > 2), COUNT(*) FILTER (WHERE k IS NULL),
           SUM(CASE WHEN k LIKE 'b%' THEN v ELSE 0 END), COUNT(*) FILTER (WHERE NOT (k = 'a' OR k = 'b'))
    FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
    WHERE k <> 'c' OR k IS NULL
    GROUP BY window_start, window_end";

const COLUMNS: &str = "window_start TIMESTAMP(3), a BIGINT, not_a BIGINT, both BIGINT, nulls BIGINT, b_sum BIGINT, \
                       neither BIGINT";

#[test]
fn conditions_answer_as_ever() {
    assert_snapshot!(check(EVENTS, COLUMNS, QUERY), @r"
    window_start  a  not_a  both  nulls  b_sum  neither
    12:00:00      2  2      2     0      5      0
    12:01:00      1  0      1     0      0      0
    12:02:00      0  0      0     1      0      0
    ");
}

#[test]
fn a_text_with_conditions_only_is_no_column() {
    let decoded = |query: &str, columns: &str| {
        let script = format!(
            "CREATE TABLE events (`time` TIMESTAMP(3), k STRING, v BIGINT, WATERMARK FOR `time` AS `time`)
             WITH ('connector' = 'filesystem', 'path' = 'unused');
             CREATE TABLE out ({columns}) WITH ('connector' = 'collect');
             INSERT INTO out {query}"
        );
        let plan = plan(&script).unwrap_or_else(|error| panic!("{error}"));
        let schema = plan.sources[0].decode.schema();
        schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>().join("; ")
    };
    let conditions = decoded(QUERY, COLUMNS);
    assert!(conditions.starts_with("time; v; ") && !conditions.contains("; k;"), "{conditions}");
    // The key is wanted as well as the condition.
    let keyed = decoded(
        "SELECT k, COUNT(*) FILTER (WHERE k = 'a')
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end, k",
        "k STRING, n BIGINT",
    );
    assert!(keyed.starts_with("time; k; "), "{keyed}");
}
