//! Memory tables, `CREATE TABLE … AS SELECT`, `CREATE TABLE … LIKE`.

use insta::assert_snapshot;

use crate::run::{check, plan, run};

const EVENTS: &str = "
    time      k  v
    12:00:01  a  5
    12:00:04  b  2
    12:00:12  a  300
    12:00:31  b  1";

const COUNTS: &str = "CREATE TABLE out (w TIMESTAMP_LTZ(3), n BIGINT, s BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
    INSERT INTO out SELECT window_start, COUNT(*), SUM(v)
    FROM TABLE(TUMBLE(TABLE m, DESCRIPTOR(t), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;";

#[test]
fn a_memory_table_is_its_inserts_with_their_event_time() {
    let inserts = "INSERT INTO m SELECT `time`, k, v FROM events WHERE k = 'a';
        INSERT INTO m (v, t) SELECT v * 10, `time` FROM events WHERE k = 'b';";
    for table in [
        "CREATE TABLE m (t TIMESTAMP(3), k STRING, v BIGINT) WITH ('connector' = 'memory');",
        "CREATE TABLE m (t TIMESTAMP(3), k STRING, v BIGINT);",
    ] {
        assert_snapshot!("both_inserts", run(EVENTS, &format!("{table} {inserts} {COUNTS}")).finals());
    }
    // Other than by a query, what is left out of the list is NULL.
    let nulls = "CREATE TABLE m (t TIMESTAMP(3), k STRING, v BIGINT) WITH ('connector' = 'memory');
        INSERT INTO m (v, t) SELECT v, `time` FROM events;
        CREATE TABLE out (k STRING, v BIGINT) WITH ('connector' = 'collect');
        INSERT INTO out SELECT k, v FROM m WHERE v > 2;";
    assert_snapshot!(run(EVENTS, nulls).finals(), @r"
    k     v
    NULL  300
    NULL  5
    ");
}

#[test]
fn a_memory_table_over_a_window_has_the_windows_columns() {
    let script = "
        CREATE TABLE m (s TIMESTAMP_LTZ(3), e TIMESTAMP_LTZ(3), k STRING, n BIGINT) WITH (connector = 'memory');
        INSERT INTO m SELECT window_start, window_end, k, COUNT(*)
        FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
        CREATE TABLE out (w TIMESTAMP_LTZ(3), n BIGINT, k BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
        INSERT INTO out SELECT window_start, SUM(n), COUNT(*)
        FROM TABLE(TUMBLE(TABLE m, DESCRIPTOR(s), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;";
    assert_snapshot!(run(EVENTS, script).finals(), @r"
    w         n  k
    12:00:00  4  4
    ");
}

#[test]
fn a_table_as_a_query_has_its_columns_and_its_rows() {
    let script = "
        CREATE TABLE out (PRIMARY KEY (k) NOT ENFORCED, final BOOLEAN METADATA FROM 'is_final')
        WITH ('connector' = 'collect', 'emit' = 'final')
        AS SELECT upper(k) AS k, v + 1 AS v, CAST(v AS DECIMAL(5, 1)) AS d, `time` AS t FROM events WHERE v < 100;";
    assert_snapshot!(run(EVENTS, script).finals(), @r"
    final  k  v  d    t
    true   A  6  5.0  12:00:01
    true   B  2  1.0  12:00:31
    true   B  3  2.0  12:00:04
    ");
    // Without a connector it is in memory.
    let script = format!("CREATE TABLE m AS SELECT `time` AS t, v FROM events WHERE k = 'b'; {COUNTS}");
    assert_snapshot!(run(EVENTS, &script).finals(), @r"
    w         n  s
    12:00:00  1  2
    12:00:30  1  1
    ");
    // A table of the name stays what it is.
    let script = "CREATE TABLE out (v BIGINT) WITH ('connector' = 'collect');
        CREATE TABLE IF NOT EXISTS out WITH ('connector' = 'collect') AS SELECT k FROM events;
        INSERT INTO out SELECT v FROM events WHERE v = 1;";
    assert_snapshot!(run(EVENTS, script).finals(), @r"
    v
    1
    ");
}

#[test]
fn a_table_like_another_takes_over_what_is_asked_for() {
    let like = |own: &str, with: &str, options: &str| {
        let script = format!(
            "CREATE TABLE base (
               a STRING, b BIGINT NOT NULL, t TIMESTAMP(3), c AS b + 1, f BOOLEAN METADATA FROM 'is_final',
               PRIMARY KEY (a) NOT ENFORCED, WATERMARK FOR t AS t - INTERVAL '7' SECOND
             ) WITH ('connector' = 'collect', 'emit' = 'final');
             CREATE TABLE o {own} WITH ({with}) LIKE base {options};
             CREATE TABLE events (s STRING, n BIGINT, t TIMESTAMP(3)) WITH ('connector' = 'filesystem', 'path' = 'x');
             INSERT INTO o (a, b) SELECT s, n FROM events;"
        );
        let plan = plan(&script).unwrap_or_else(|error| panic!("{error}"));
        let table = &plan.sinks[0].table;
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let delay =
            table.watermark.as_ref().map_or("none".to_owned(), |w| format!("{} {}", w.column, w.delay_us));
        let emit = table.options.get("emit").unwrap_or("none");
        format!("{} | {} | {delay} | {emit}", names.join(","), table.primary_key.join(","))
    };
    let collect = "'connector' = 'collect'";
    assert_eq!(like("", collect, ""), "a,b,t,c,f | a | t 7000000 | final");
    assert_eq!(
        like("(d INT)", collect, "(INCLUDING ALL OVERWRITING OPTIONS)"),
        "a,b,t,c,f,d | a | t 7000000 | final"
    );
    assert_eq!(like("", collect, "(EXCLUDING ALL)"), "a,b,t |  | none | none");
    assert_eq!(
        like("", "'connector' = 'collect'", "(EXCLUDING OPTIONS)"),
        "a,b,t,c,f | a | t 7000000 | none"
    );
    assert_eq!(like("", "'emit' = 'updates'", ""), "a,b,t,c,f | a | t 7000000 | updates");
    let own = "(PRIMARY KEY (b) NOT ENFORCED, c AS b + 2, WATERMARK FOR t AS t)";
    let options = "(EXCLUDING CONSTRAINTS, OVERWRITING GENERATED OVERWRITING WATERMARKS EXCLUDING METADATA)";
    assert_eq!(like(own, collect, options), "a,b,t,c | b | t 0 | final");
}

#[test]
fn a_table_like_another_is_read_like_any() {
    let input = "\n time k v\n 12:00:01 a 5\n 12:00:04 b 2";
    let query = "SELECT k, w FROM more";
    let script = format!(
        "CREATE TABLE more (w AS v * 2) LIKE events;
         CREATE TABLE out (k STRING, w BIGINT) WITH ('connector' = 'collect'); INSERT INTO out {query}"
    );
    assert_snapshot!(run(input, &script).ledger.sources["more"].read, @"2");
    assert_snapshot!(run(input, &script).finals(), @r"
    k  w
    a  10
    b  4
    ");
}

#[test]
fn statement_sets_and_views_in_flinks_spellings() {
    let one = "CREATE TABLE out (a STRING, b BIGINT) WITH ('connector' = 'collect');
        CREATE TEMPORARY VIEW IF NOT EXISTS w (x COMMENT 'name', y) COMMENT 'a view' AS SELECT k, v FROM events;
        CREATE VIEW IF NOT EXISTS w AS SELECT v FROM events;
        CREATE OR REPLACE TEMPORARY TABLE IF NOT EXISTS out (c INT) WITH ('connector' = 'print');";
    for insert in [
        "EXECUTE STATEMENT SET BEGIN INSERT INTO out SELECT x, y FROM w; END;",
        "BEGIN STATEMENT SET; INSERT INTO out SELECT x, y FROM w; END;",
        "EXECUTE INSERT INTO out SELECT x, y FROM w;",
        "INSERT INTO TABLE out SELECT x, y FROM w",
        "INSERT INTO out WITH c AS (SELECT x, y FROM w) SELECT x, y FROM c",
    ] {
        let script = format!("{one} {insert}");
        assert_snapshot!("the_same_rows", run("\n time k v\n 12:00:01 a 5", &script).finals());
    }
    let explained = format!("{one} EXPLAIN STATEMENT SET BEGIN INSERT INTO out SELECT x, y FROM w; END;");
    let source = "CREATE TABLE events (k STRING, v BIGINT) WITH ('connector' = 'filesystem', 'path' = 'x');";
    assert!(plan(&format!("{source} {explained}")).unwrap().is_explained);
    assert_snapshot!(check("\n time k v\n 12:00:01 a 5", "b BIGINT, a STRING", "SELECT v, k FROM events"), @r"
    b  a
    5  a
    ");
}
