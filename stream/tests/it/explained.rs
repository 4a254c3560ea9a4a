//! What is said of a plan: operators with time, key, window, state and where they run.

use insta::assert_snapshot;
use plamatio_stream::planner::explain::Explanation;

use crate::run::plan;

const TABLES: &str = "
    CREATE TABLE events (`time` TIMESTAMP(3), k STRING, v BIGINT, WATERMARK FOR `time` AS `time` - INTERVAL '10' SECOND)
      WITH ('connector' = 'filesystem', 'path' = '/nowhere', 'allowed-lateness' = '1 min');
    CREATE TABLE out (s TIMESTAMP(3), k STRING, n BIGINT) WITH ('connector' = 'collect');";

fn explained(statements: &str) -> Explanation {
    Explanation::of(&plan(&format!("{TABLES}{statements}")).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn a_window_over_a_source() {
    let explanation = explained(
        "INSERT INTO out SELECT window_start, k, COUNT(*) FILTER (WHERE v > 1)
         FROM TABLE(HOP(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' MINUTE, INTERVAL '1' HOUR))
         WHERE v IS NOT NULL GROUP BY window_start, window_end, k",
    );
    assert_snapshot!(explanation);
    assert_snapshot!(explanation.to_mermaid());
}

#[test]
fn windows_over_windows_and_a_join() {
    assert_snapshot!(explained(
        "CREATE VIEW sessions AS SELECT window_start AS s, window_end AS e, k, COUNT(*) AS n
           FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(`time`), INTERVAL '30' SECOND))
           GROUP BY window_start, window_end, k;
         CREATE VIEW minutes AS SELECT window_start, window_end, k, SUM(n) AS n
           FROM TABLE(TUMBLE(TABLE sessions, DESCRIPTOR(s), INTERVAL '1' MINUTE))
           GROUP BY window_start, window_end, k;
         EXPLAIN INSERT INTO out SELECT a.window_start, a.k, b.n FROM minutes a JOIN minutes b
           ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.n = b.n"
    ));
}

#[test]
fn a_query_alone_can_be_explained() {
    let explanation = explained("EXPLAIN PLAN FOR SELECT k, v * 2 AS twice FROM events WHERE k LIKE 'a%'");
    assert_snapshot!(explanation);
    let json: serde_json::Value = serde_json::from_str(&explanation.to_json()).unwrap();
    assert_eq!(json["sinks"][0]["inputs"][0]["inputs"][0]["stage"], "reading");
}
