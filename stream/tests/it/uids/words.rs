//! The words that state is known by: they say all that changes its meaning, and nothing else.

use plamatio_stream::planner::{JobPlan, identity::Identity};

use super::{EVENTS, MINUTES, VISITS};
use crate::run::block_on;

fn plan(script: &str) -> JobPlan {
    let folder = super::Folder::new();
    let values = std::collections::BTreeMap::new();
    let plan = block_on(plamatio_stream::planner::plan(script, &values, &folder.connectors()));
    plan.unwrap_or_else(|error| panic!("{error}"))
}

/// What has state in a script, sources first.
fn identities(script: &str) -> Vec<Identity> {
    let plan = plan(script);
    let sources = plan.sources.iter().map(|source| source.identity.clone());
    sources.chain(plan.nodes.iter().filter_map(|node| node.state.clone())).collect()
}

fn uids(script: &str) -> Vec<String> {
    let mut uids: Vec<String> = identities(script).into_iter().map(|identity| identity.uid).collect();
    uids.sort_unstable();
    uids
}

fn query(query: &str) -> String {
    format!("{EVENTS} CREATE TABLE out (a BIGINT) WITH ('connector' = 'collect'); INSERT INTO out {query}")
}

/// A release that changes one of these refuses all checkpoints of before: it must say so, and mean it.
#[test]
fn golden() {
    let table = "CREATE TABLE events (id BIGINT, price DECIMAL(10, 2), quantity INT, `time` TIMESTAMP(3),
         total AS price * quantity, WATERMARK FOR `time` AS `time` - INTERVAL '5' SECOND)
         WITH ('connector' = 'kafka', 'topic' = 'b;a', 'properties.bootstrap.servers' = 'unused:9092',
               'deduplicate.key' = 'id', 'allowed-lateness' = '1 min');
         CREATE TABLE out (s TIMESTAMP(3), n BIGINT, r BIGINT) WITH ('connector' = 'collect');
         CREATE VIEW visits AS SELECT window_start AS s, window_end AS e, quantity AS q, COUNT(*) AS n, SUM(total) FILTER (WHERE total > 1) AS t
           FROM TABLE(SESSION(TABLE events PARTITION BY quantity, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
           GROUP BY window_start, window_end, quantity;
         CREATE VIEW minutes AS SELECT window_start, window_end, q, SUM(n) AS n
           FROM TABLE(HOP(TABLE visits, DESCRIPTOR(s), INTERVAL '1' MINUTE, INTERVAL '5' MINUTES)) WHERE t > 2
           GROUP BY window_start, window_end, q;
         INSERT INTO out SELECT window_start, n, RANK() OVER (PARTITION BY window_start, window_end ORDER BY n) FROM minutes;";
    let mut text = String::new();
    for identity in identities(table) {
        text.push_str(&format!("{} {}\n", identity.kind, identity.uid));
        for (name, value) in &identity.details {
            text.push_str(&format!("  {name}: {value}\n"));
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_same_at_any_time_and_with_any_number_of_threads() {
    let script = format!("{EVENTS}{MINUTES}{VISITS}");
    let expected = uids(&script);
    assert_eq!(expected.len(), 3);
    for threads in [1, 2, 7] {
        assert_eq!(uids(&format!("SET 'parallelism' = '{threads}'; {script}")), expected);
    }
}

/// Names that are a script's own, and the order in which DataFusion puts things that go by names.
#[test]
fn names_do_not_show() {
    let join = |a: &str, b: &str, x: &str| {
        query(&format!(
            "SELECT {a}.n FROM
               (SELECT window_start AS ws, window_end AS we, k AS {x}, COUNT(*) AS n
                FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k) AS {a}
             JOIN
               (SELECT window_start AS ws, window_end AS we, k AS {x}, SUM(v) AS n
                FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k) AS {b}
             ON {a}.ws = {b}.ws AND {a}.we = {b}.we AND {a}.{x} = {b}.{x} AND {a}.n < {b}.n"
        ))
    };
    let expected = uids(&join("a", "b", "x"));
    assert_eq!(expected.len(), 4);
    assert_eq!(uids(&join("z", "b", "x")), expected);
    assert_eq!(uids(&join("b", "a", "key")), expected);

    let compared = |one: &str, other: &str| {
        query(&format!(
            "SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
             WHERE {one} < {other} AND {one} <> 3 GROUP BY window_start, window_end"
        ))
        .replace(
            "CREATE TABLE out",
            &format!(
                "CREATE VIEW t AS SELECT `time`, v AS {one}, v * 2 AS {other} FROM events; CREATE TABLE out"
            ),
        )
    };
    assert_eq!(uids(&compared("a", "b")), uids(&compared("b", "a")));
}

/// Queries that look alike and are not.
#[test]
fn what_differs_shows() {
    let within = |inner: &str, outer: &str| {
        query(&format!(
            "SELECT SUM(r) FROM (SELECT window_end AS e, k, n, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n, k) AS r
               FROM (SELECT window_start, window_end, k, COUNT(*) AS n
                     FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k)
               WHERE {inner}) WHERE {outer} GROUP BY e"
        ))
    };
    let pairs = [
        // A condition before and after rows are numbered.
        (within("k <> 'x'", "n > 2"), within("n > 2", "k <> 'x'")),
        (within("n > 2", "TRUE"), within("TRUE", "n > 2")),
        // Which of two conditions NOT is of.
        (
            query(
                "SELECT COUNT(*) FROM events WHERE (NOT v > 1) AND k = 'a' GROUP BY tumble(INTERVAL '1' MINUTE)",
            ),
            query(
                "SELECT COUNT(*) FROM events WHERE NOT (v > 1 AND k = 'a') GROUP BY tumble(INTERVAL '1' MINUTE)",
            ),
        ),
        (
            query("SELECT SUM(v - (v - 1)) FROM events GROUP BY tumble(INTERVAL '1' MINUTE)"),
            query("SELECT SUM((v - v) - 1) FROM events GROUP BY tumble(INTERVAL '1' MINUTE)"),
        ),
        (
            query("SELECT COUNT(v) FROM events GROUP BY tumble(INTERVAL '1' MINUTE)"),
            query("SELECT COUNT(DISTINCT v) FROM events GROUP BY tumble(INTERVAL '1' MINUTE)"),
        ),
        (
            query("SELECT COUNT(*) FROM events WHERE k = '1' GROUP BY tumble(INTERVAL '1' MINUTE)"),
            query("SELECT COUNT(*) FROM events WHERE k = ' 1' GROUP BY tumble(INTERVAL '1' MINUTE)"),
        ),
        (
            query("SELECT COUNT(*) FROM events GROUP BY tumble(INTERVAL '1' MINUTE)"),
            query("SELECT COUNT(*) FROM events GROUP BY tumble(INTERVAL '1' MINUTE, INTERVAL '10' SECOND)"),
        ),
    ];
    for (one, other) in pairs {
        assert_ne!(uids(&one), uids(&other), "{one}\n{other}");
    }
}
