//! Asking for provisional rows, or for a checkpoint, uses nothing up: what is said later is what would be said
//! without having been asked.

use std::fmt::Write;

use proptest::prelude::*;

use crate::graph::Driven;

const COLUMNS: &str = "s TIMESTAMP(3), e TIMESTAMP(3), k STRING, n BIGINT, total BIGINT, mean DOUBLE, least BIGINT, \
                       kinds BIGINT, seen BIGINT";

/// An aggregate of each form in which the merge stage keeps them.
/// What is shown as key, and what is grouped by. Of several keys some are NULL in turn: such keys have one hash, and
/// DataFusion numbers their groups otherwise than in the order of their rows.
const KEYS: [(&str, &str); 4] = [
    ("'all'", ""),
    ("k", ", k"),
    ("concat(k, CAST(v AS STRING))", ", k, v"),
    (
        "concat(k, coalesce(CASE WHEN v % 2 = 1 THEN k END, 'x'), coalesce(CASE WHEN v % 2 = 0 THEN k END, 'x'))",
        ", k, CASE WHEN v % 2 = 1 THEN k END, CASE WHEN v % 2 = 0 THEN k END",
    ),
];

fn query(window: &str, (key, group): (&str, &str)) -> String {
    format!(
        "SELECT s, e, k, n, total, mean, least, kinds, seen FROM (
           SELECT window_start AS s, window_end AS e, {key} AS k, COUNT(*) AS n, SUM(v) AS total, AVG(v) AS mean,
             MIN(v) AS least, COUNT(DISTINCT v) AS kinds, median(v) AS seen
           FROM TABLE({window}) GROUP BY window_start, window_end{group})"
    )
}

fn windows() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND)",
        "HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND, INTERVAL '50' SECOND)",
        // By all rows and then grouped, and by what is grouped by or more.
        "SESSION(TABLE events, DESCRIPTOR(`time`), INTERVAL '7' SECOND)",
        "SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '7' SECOND)",
        "SESSION(TABLE events PARTITION BY k, v, DESCRIPTOR(`time`), INTERVAL '7' SECOND)",
    ])
}

/// What happens between two batches of rows.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Nothing,
    Provisional,
    Checkpoint,
}

type Row = (i64, u8, i64);

fn table(rows: &[Row]) -> String {
    let mut text = "time k v\n".to_owned();
    for (time, key, value) in rows {
        let key = ["a", "b", "c"][usize::from(*key)];
        writeln!(text, "00:{:02}:{:02} {key} {value}", time / 60, time % 60).unwrap();
    }
    text
}

/// Rows without what aligns them.
fn lines(table: &str) -> Vec<String> {
    let rows = table.lines().skip(1);
    rows.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn nothing_is_used_up(
        window in windows(),
        key in prop::sample::select(&KEYS[..]),
        batches in prop::collection::vec(
            (
                prop::collection::vec((0_i64..100, 0_u8..3, 0_i64..6), 1..8),
                prop::sample::select(vec![Asked::Nothing, Asked::Provisional, Asked::Checkpoint]),
            ),
            1..6,
        ),
    ) {
        let query = query(window, key);
        let mut often = Driven::new(COLUMNS, &query);
        let mut all: Vec<Row> = Vec::new();
        for (rows, asked) in &batches {
            all.extend(rows);
            often.rows(&table(rows));
            match asked {
                Asked::Nothing => {}
                Asked::Checkpoint => {
                    often = often.restored();
                    // What had been shown is shown again.
                    often.emit();
                }
                Asked::Provisional => {
                    let mut once = Driven::new(COLUMNS, &query);
                    once.rows(&table(&all));
                    let whole = lines(&once.emit());
                    for line in lines(&often.emit()) {
                        prop_assert!(whole.contains(&line), "{line}\nis none of\n{}", whole.join("\n"));
                    }
                }
            }
        }
        let mut once = Driven::new(COLUMNS, &query);
        once.rows(&table(&all));
        // In two steps, so that windows are put together from panes that others have used before.
        for seconds in [60, 1_000] {
            prop_assert_eq!(often.watermark(seconds), once.watermark(seconds));
        }
    }
}
