//! What is provisional and is no more is taken back: by a call that says so, and at any moment what a live sink holds
//! is what would be written if the stream ended now.

use insta::assert_snapshot;

use crate::{graph::Driven, language::random::Random};

const NOON: i64 = 12 * 3600;

#[test]
fn a_having_that_holds_no_longer() {
    let query = "SELECT window_start, k, COUNT(*)
        FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
        GROUP BY window_start, window_end, k HAVING COUNT(*) < 3";
    let mut driven = Driven::new("w TIMESTAMP(3), k STRING, n BIGINT", query);
    driven.rows("time k v\n 12:00:01 a 1\n 12:00:02 b 1");
    assert_snapshot!(driven.emit(), @r"
    w         k  n
    12:00:00  a  1
    12:00:00  b  1
    ");
    driven.rows("time k v\n 12:00:03 a 1\n 12:00:04 a 1");
    assert_snapshot!(driven.emit(), @r"
    w         k  n
    12:00:00  b  1
    ");
    assert_snapshot!(driven.gone(), @r"
    w         k  n
    12:00:00  a  1
    12:00:00  b  1
    ");
    driven.rows("time k v\n 12:00:05 b 1\n 12:00:06 b 1");
    assert_snapshot!(driven.emit(), @"(no rows)");
    assert_snapshot!(driven.gone(), @r"
    w         k  n
    12:00:00  b  1
    ");
    assert_snapshot!(driven.watermark(NOON + 60), @"(no rows)");
}

/// The row that makes it false comes after the last emission: no final row stands in the place of what was shown.
#[test]
fn a_window_that_closes_without_rows() {
    let query = "SELECT window_start, k, COUNT(*)
        FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
        GROUP BY window_start, window_end, k HAVING COUNT(*) < 2";
    let mut driven = Driven::new("w TIMESTAMP(3), k STRING, n BIGINT", query);
    driven.rows("time k v\n 12:00:01 a 1");
    driven.emit();
    driven.rows("time k v\n 12:00:02 a 1");
    assert_eq!(driven.live(), (vec![], vec!["12:00:00 a 1".to_owned()]));
    driven.watermark(NOON + 60);
    assert_eq!(driven.live(), (vec![], vec![]));
}

#[test]
fn sessions_that_grow_and_meet() {
    let query = "SELECT k, window_start, window_end, COUNT(*)
        FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
        GROUP BY k, window_start, window_end";
    let mut driven = Driven::new("k STRING, s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT", query);
    driven.rows("time k v\n 12:00:00 a 1\n 12:00:50 a 1\n 12:00:00 b 1");
    driven.emit();
    // Between the two: they are one.
    driven.rows("time k v\n 12:00:25 a 1");
    assert_snapshot!(driven.emit(), @r"
    k  s         e         n
    a  12:00:00  12:01:20  3
    ");
    assert_snapshot!(driven.gone(), @r"
    k  s         e         n
    a  12:00:00  12:00:30  1
    a  12:00:50  12:01:20  1
    ");
    driven.rows("time k v\n 12:00:10 b 1");
    assert_snapshot!(driven.emit(), @r"
    k  s         e         n
    b  12:00:00  12:00:40  2
    ");
    assert_snapshot!(driven.gone(), @r"
    k  s         e         n
    b  12:00:00  12:00:30  1
    ");
    driven.rows("time k v\n 12:00:12 b 1");
    driven.watermark(NOON + 43);
    let expected = ["b 12:00:00 12:00:42 3", "a 12:00:00 12:01:20 3"].map(|row| vec![row.to_owned()]);
    assert_eq!(driven.live(), expected.into());
}

/// The state in a checkpoint is what was shown when it was taken; a restart takes back what does not hold on.
#[test]
fn after_a_restart() {
    let query = "SELECT k, window_start, window_end, COUNT(*)
        FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
        GROUP BY k, window_start, window_end";
    let mut driven = Driven::new("k STRING, s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT", query);
    driven.rows("time k v\n 12:00:00 a 1");
    driven.emit();
    let mut driven = driven.restored();
    driven.rows("time k v\n 12:00:10 a 1");
    assert_snapshot!(driven.emit(), @r"
    k  s         e         n
    a  12:00:00  12:00:30  1
    a  12:00:00  12:00:40  2
    ");
    assert_snapshot!(driven.gone(), @r"
    k  s         e         n
    a  12:00:00  12:00:30  1
    ");
}

/// Queries over windows over windows, each with the columns of its result.
const QUERIES: [(&str, &str); 12] = [
    (
        "w TIMESTAMP(3), k STRING, n BIGINT",
        "SELECT window_start, k, COUNT(*) FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '20' SECOND))
         GROUP BY window_start, window_end, k HAVING COUNT(*) < 3",
    ),
    (
        "k STRING, s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT, t DOUBLE, c BIGINT",
        "SELECT k, window_start, window_end, COUNT(*), SUM(CAST(v AS DOUBLE)), COUNT(DISTINCT v)
         FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '15' SECOND))
         GROUP BY k, window_start, window_end",
    ),
    // Every way in which what is provisional is kept.
    (
        "w TIMESTAMP(3), n BIGINT, m BIGINT, t BIGINT, d DECIMAL(20, 2), u BIGINT, x BIGINT, y DOUBLE, z DOUBLE, f BIGINT, g BIGINT",
        "WITH q AS (SELECT window_start AS s, k, COUNT(*) AS n, SUM(v) AS t
           FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '15' SECOND))
           GROUP BY k, window_start, window_end)
         SELECT window_start, COUNT(*), COUNT(DISTINCT k) FILTER (WHERE n > 1), SUM(t), SUM(CAST(n AS DECIMAL(10, 2))),
           COUNT(DISTINCT k), MAX(t), AVG(t), SUM(CAST(n AS DOUBLE) / 4), COUNT(t) FILTER (WHERE n > 1),
           SUM(DISTINCT n)
         FROM TABLE(TUMBLE(TABLE q, DESCRIPTOR(s), INTERVAL '20' SECOND))
         GROUP BY window_start, window_end",
    ),
    // By key, with a filter between, and in windows that overlap.
    (
        "w TIMESTAMP(3), e TIMESTAMP(3), k STRING, n BIGINT, c BIGINT, x BIGINT",
        "WITH q AS (SELECT window_start AS s, k, COUNT(*) AS n
           FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '9' SECOND))
           GROUP BY k, window_start, window_end HAVING COUNT(*) < 3)
         SELECT window_start, window_end, k, SUM(n), COUNT(DISTINCT n), MIN(n)
         FROM TABLE(HOP(TABLE q, DESCRIPTOR(s), INTERVAL '10' SECOND, INTERVAL '40' SECOND))
         GROUP BY window_start, window_end, k",
    ),
    (
        "w TIMESTAMP(3), n BIGINT, c BIGINT, x BIGINT",
        "WITH q AS (SELECT window_start AS s, k, COUNT(*) AS n
           FROM TABLE(HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '5' SECOND, INTERVAL '15' SECOND))
           GROUP BY k, window_start, window_end)
         SELECT window_start, SUM(n), COUNT(DISTINCT k), MAX(n)
         FROM TABLE(TUMBLE(TABLE q, DESCRIPTOR(s), INTERVAL '30' SECOND))
         GROUP BY window_start, window_end",
    ),
    // The same window again.
    (
        "w TIMESTAMP(3), n BIGINT, g BIGINT",
        "SELECT window_start, MAX(n), COUNT(*) FROM (SELECT window_start, window_end, k, COUNT(*) AS n
           FROM TABLE(HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND, INTERVAL '20' SECOND))
           GROUP BY k, window_start, window_end HAVING COUNT(*) < 4)
         GROUP BY window_start, window_end HAVING COUNT(*) < 3",
    ),
    // Three deep.
    (
        "w TIMESTAMP(3), n BIGINT, m BIGINT",
        "WITH q AS (SELECT window_start AS s, k
             FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '9' SECOND))
             GROUP BY k, window_start, window_end),
           r AS (SELECT window_time AS t, COUNT(*) AS m FROM TABLE(TUMBLE(TABLE q, DESCRIPTOR(s), INTERVAL '10' SECOND))
             GROUP BY window_start, window_end, window_time HAVING COUNT(*) < 3)
         SELECT window_start, COUNT(*), SUM(m) FROM TABLE(TUMBLE(TABLE r, DESCRIPTOR(t), INTERVAL '30' SECOND))
         GROUP BY window_start, window_end",
    ),
    (
        "w TIMESTAMP(3), r BIGINT, k STRING, n BIGINT",
        "SELECT * FROM (SELECT w, ROW_NUMBER() OVER (PARTITION BY w ORDER BY n DESC, k) AS r, k, n
           FROM (SELECT window_start AS w, k, COUNT(*) AS n
                 FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '20' SECOND))
                 GROUP BY window_start, window_end, k)) WHERE r <= 2",
    ),
    // Sessions come one by one: they are gathered before they are ranked.
    (
        "e TIMESTAMP(3), r BIGINT, k STRING, n BIGINT",
        "SELECT e, ROW_NUMBER() OVER (PARTITION BY e ORDER BY n DESC, k), k, n
         FROM (SELECT window_end AS e, k, COUNT(*) AS n
               FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '9' SECOND))
               GROUP BY window_start, window_end, k)",
    ),
    (
        "w TIMESTAMP(3), k STRING, s BIGINT",
        "SELECT w, k, SUM(n) OVER (PARTITION BY w ORDER BY k)
         FROM (SELECT window_start AS w, window_end AS e, k, COUNT(*) AS n
               FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '20' SECOND))
               GROUP BY window_start, window_end, k HAVING COUNT(*) < 4)",
    ),
    (
        "w TIMESTAMP(3), k STRING, n BIGINT, m BIGINT",
        "SELECT a.w, a.k, a.n, b.n FROM
           (SELECT window_start AS w, window_end AS e, k, COUNT(*) AS n
            FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '20' SECOND))
            GROUP BY window_start, window_end, k) a
         LEFT JOIN
           (SELECT window_start AS w, window_end AS e, k, COUNT(*) AS n
            FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '20' SECOND)) WHERE v > 4
            GROUP BY window_start, window_end, k HAVING COUNT(*) < 3) b
         ON a.w = b.w AND a.e = b.e AND a.k = b.k",
    ),
    // Branches that are gathered for the sink.
    (
        "w TIMESTAMP(3), k STRING, n BIGINT",
        "SELECT window_end, k, COUNT(*) FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '20' SECOND))
         GROUP BY window_start, window_end, k HAVING COUNT(*) < 3
         UNION ALL
         SELECT window_end, k, COUNT(*) FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '9' SECOND))
         GROUP BY window_start, window_end, k",
    ),
];

/// Random rows, promises, emissions and restarts.
fn check(query: usize, seed: u64) {
    let (columns, text) = QUERIES[query];
    let mut driven = Driven::new(columns, text);
    let mut random = Random::new(seed);
    let mut rows = String::from("time k v\n");
    let mut promised = 0;
    for _ in 0..25 {
        let mut some = String::from("time k v\n");
        for _ in 0..random.below(8) {
            let second = promised + random.between(0, 40);
            let row = format!(
                "12:{:02}:{:02} {} {}\n",
                second / 60,
                second % 60,
                random.pick(&["a", "b", "c"]),
                random.below(9)
            );
            some.push_str(&row);
        }
        rows.push_str(some.strip_prefix("time k v\n").unwrap_or_default());
        driven.rows(&some);
        if random.chance(40) {
            promised += random.between(0, 20);
            driven.watermark(NOON + promised);
        }
        if random.chance(15) {
            driven.emit();
            driven = driven.restored();
        }
        if random.chance(70) {
            driven.emit();
            let mut ended = driven.anew();
            ended.rows(&rows);
            ended.end();
            let (mut expected, _) = ended.live();
            let (finals, live) = driven.live();
            for row in finals {
                let place = expected.iter().position(|other| *other == row);
                expected.remove(place.unwrap_or_else(|| panic!("{query}/{seed}: {row} is final too early")));
            }
            assert_eq!(live, expected, "query {query}, seed {seed}, watermark {promised}, of\n{rows}");
        }
    }
    driven.end();
    assert_eq!(driven.live().1, Vec::<String>::new(), "query {query}, seed {seed}: left at the end");
}

#[test]
fn a_live_sink_has_what_would_be_written_now() {
    for query in 0..QUERIES.len() {
        for seed in 0..12 {
            check(query, seed);
        }
    }
}
