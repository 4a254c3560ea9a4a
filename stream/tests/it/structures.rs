//! Arrays, rows and maps as columns, and arrays as rows.

use insta::assert_snapshot;

use crate::run::{Done, block_on, events, files, run_bytes, try_run};

const COLUMNS: &str = "id BIGINT, tags ARRAY<STRING>, items ARRAY<ROW<name STRING, n INT, sizes ARRAY<INT>>>, \
     ctx ROW<page ROW<path STRING>, `user` STRING>, params MAP<STRING, BIGINT>, raw JSON, u BIGINT UNSIGNED";

const RECORDS: &[&str] = &[
    r#"{"time":"2026-01-05T12:00:01Z","id":1,"tags":["a","b"],"items":[{"name":"mug","n":2,"sizes":[1,2]},{"name":"cup","n":1}],"ctx":{"page":{"path":"/a"},"user":"x"},"params":{"k":7,"l":8},"raw":{"b": [1]},"u":1}"#,
    r#"{"time":"2026-01-05T12:00:02Z","id":2,"tags":[],"items":[],"ctx":null,"raw":"text","u":2}"#,
    r#"{"time":"2026-01-05T12:00:03Z","id":3,"items":[null,{"name":"mug","n":5,"sizes":[3]}],"ctx":{"user":"y"},"params":{"k":null},"u":18446744073709551615}"#,
    r#"{"time":"2026-01-05T12:01:04Z","id":4,"tags":["b",null],"items":[{"n":4}],"ctx":{"page":{"path":"/b"}},"params":{},"raw":null}"#,
];

fn statements(columns: &str, query: &str) -> String {
    format!(
        "CREATE TABLE out ({columns}) WITH ('connector' = 'collect', 'emit' = 'final'); INSERT INTO out {query}"
    )
}

fn run(columns: &str, query: &str) -> Done {
    let lines = RECORDS.iter().map(|record| record.as_bytes().to_vec()).collect();
    run_bytes(&[lines], COLUMNS, "", &statements(columns, query))
}

fn check(columns: &str, query: &str) -> String {
    let done = run(columns, query);
    assert_eq!(done.counts(), [4, 4, 0, 0, 0, 0]);
    done.finals()
}

fn refused(columns: &str, query: &str) -> String {
    let folder = files(&[]);
    let script = events(COLUMNS, &folder, "") + &statements(columns, query);
    match block_on(try_run(&script)) {
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        Ok(_) => "not refused".to_owned(),
    }
}

#[test]
fn parts_are_reached_by_name_and_place() {
    let rows = check(
        "id BIGINT, path STRING, who STRING, name STRING, size INT, k BIGINT, tags BIGINT, params BIGINT, raw STRING",
        "SELECT id, ctx.page.path, ctx.`user`, items[1].name, items[1].sizes[2], params['k'], CARDINALITY(tags),
           CARDINALITY(params), raw
         FROM events",
    );
    assert_snapshot!(rows, @r#"
    id  path  who   name  size  k     tags  params  raw
    1   /a    x     mug   2     7     2     2       {"b": [1]}
    2   NULL  NULL  NULL  NULL  NULL  0     NULL    "text"
    3   NULL  y     NULL  NULL  NULL  NULL  1       NULL
    4   /b    NULL  NULL  NULL  NULL  2     0       NULL
    "#);
}

#[test]
fn an_array_of_rows_becomes_rows() {
    let query = |join: &str| format!("SELECT t.id, i.name, i.n FROM events AS t {join}");
    let expected = "id  name  n\n1   cup   1\n1   mug   2\n3   NULL  NULL\n3   mug   5\n4   NULL  4";
    for join in [
        "CROSS JOIN UNNEST(t.items) AS i",
        "CROSS JOIN UNNEST(items) AS i (name, n, sizes)",
        ", UNNEST(t.items) AS i",
        "INNER JOIN UNNEST(t.items) AS i ON TRUE",
        "JOIN UNNEST(t.items) AS i (name, n, s) ON TRUE",
    ] {
        assert_eq!(check("id BIGINT, name STRING, n INT", &query(join)), expected, "{join}");
    }
    let expected =
        "id  name  n\n1   cup   1\n1   mug   2\n2   NULL  NULL\n3   NULL  NULL\n3   mug   5\n4   NULL  4";
    let join = "LEFT JOIN UNNEST(t.items) AS i ON TRUE";
    assert_eq!(check("id BIGINT, name STRING, n INT", &query(join)), expected);
    let join = "JOIN UNNEST(t.items) AS i ON i.n > t.id";
    assert_eq!(check("id BIGINT, name STRING, n INT", &query(join)), "id  name  n\n1   mug   2\n3   mug   5");
}

#[test]
fn arrays_of_plain_values_and_maps_become_rows() {
    let rows = check(
        "id BIGINT, tag STRING, number INT",
        "SELECT id, tag, o FROM events CROSS JOIN UNNEST(tags) WITH ORDINALITY AS t (tag, o)",
    );
    assert_snapshot!(rows, @r"
    id  tag   number
    1   a     1
    1   b     2
    4   NULL  2
    4   b     1
    ");
    let rows = check(
        "id BIGINT, k STRING, v BIGINT",
        "SELECT id, k, v FROM events LEFT JOIN UNNEST(params) AS p (k, v) ON TRUE",
    );
    assert_snapshot!(rows, @r"
    id  k     v
    1   k     7
    1   l     8
    2   NULL  NULL
    3   k     NULL
    4   NULL  NULL
    ");
    let rows = check("id BIGINT, tag STRING", "SELECT id, UNNEST(tags) FROM events WHERE id < 4");
    assert_snapshot!(rows, @r"
    id  tag
    1   a
    1   b
    ");
    let rows = check(
        "name STRING, size INT",
        "SELECT i.name, s.size FROM events CROSS JOIN UNNEST(items) AS i CROSS JOIN UNNEST(i.sizes) AS s (size)",
    );
    assert_snapshot!(rows, @r"
    name  size
    mug   1
    mug   2
    mug   3
    ");
}

#[test]
fn an_array_inside_of_a_row_becomes_rows() {
    let columns = "id BIGINT, ctx ROW<cart ROW<lines ARRAY<ROW<n INT>>>>";
    let line = r#"{"time":"2026-01-05T12:00:01Z","id":1,"ctx":{"cart":{"lines":[{"n":2},{"n":3}]}}}"#;
    for list in ["e.ctx.cart.lines", "ctx.cart.lines"] {
        let query = format!("SELECT id, l.n FROM events AS e CROSS JOIN UNNEST({list}) AS l");
        let lines = vec![line.as_bytes().to_vec()];
        let done = run_bytes(&[lines], columns, "", &statements("id BIGINT, n INT", &query));
        assert_eq!(done.finals(), "id  n\n1   2\n1   3", "{list}");
    }
}

#[test]
fn event_time_goes_through_into_windows() {
    let view = "(SELECT `time`, id, i.name AS name, i.n AS n FROM events CROSS JOIN UNNEST(items) AS i WHERE i.n > 0)";
    let tumble = check(
        "w TIMESTAMP(3), name STRING, n BIGINT, ids BIGINT",
        &format!(
            "WITH lines AS {view}
             SELECT window_start, name, SUM(n), COUNT(DISTINCT id)
             FROM TABLE(TUMBLE(TABLE lines, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
             GROUP BY window_start, window_end, name"
        ),
    );
    assert_snapshot!(tumble, @r"
    w         name  n  ids
    12:00:00  cup   1  1
    12:00:00  mug   7  2
    12:01:00  NULL  4  1
    ");
    // Behind a window, too: rows of sessions with their arrays.
    let sessions = check(
        "e TIMESTAMP(3), name STRING, n INT, k BIGINT",
        "SELECT s.window_end, i.name, i.n, s.params['k']
         FROM TABLE(SESSION(TABLE events, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) AS s
         CROSS JOIN UNNEST(s.items) AS i",
    );
    assert_snapshot!(sessions, @r"
    e         name  n     k
    12:00:13  NULL  NULL  NULL
    12:00:13  cup   1     7
    12:00:13  mug   2     7
    12:00:13  mug   5     NULL
    12:01:14  NULL  4     NULL
    ");
}

#[test]
fn structures_are_keys_and_results() {
    let rows = check(
        "w TIMESTAMP(3), page ROW<path STRING>, tags ARRAY<STRING>, n BIGINT",
        "SELECT window_start, ctx.page, tags, COUNT(*)
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' HOUR))
         GROUP BY window_start, window_end, ctx.page, tags",
    );
    assert_snapshot!(rows);
    let rows = check(
        "id BIGINT, items ARRAY<ROW<name STRING, n INT, sizes ARRAY<INT>>>, params MAP<STRING, BIGINT>",
        "SELECT id, items, params FROM events",
    );
    assert_snapshot!(rows);
}

#[test]
fn unsigned_numbers_are_calculated_with_their_sign() {
    let rows = check(
        "id BIGINT, u BIGINT UNSIGNED, less DECIMAL(21, 0), big BOOLEAN",
        "SELECT id, u, u - 2, u > 5 FROM events WHERE u IS NOT NULL",
    );
    assert_snapshot!(rows, @r"
    id  u                     less                  big
    1   1                     -1                    false
    2   2                     0                     false
    3   18446744073709551615  18446744073709551613  true
    ");
}

#[test]
fn what_has_no_answer_is_refused() {
    let window = "FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '1' HOUR))";
    let errors = [
        refused("n BIGINT", "SELECT id FROM events CROSS JOIN UNNEST(id) AS i"),
        refused("n BIGINT", "SELECT id FROM events CROSS JOIN UNNEST(tags) AS i (a, b)"),
        refused("n BIGINT", "SELECT id FROM events LEFT JOIN UNNEST(items) AS i ON i.n > 1"),
        refused("n BIGINT", "SELECT id FROM events CROSS JOIN UNNEST(tags, items) AS i"),
        refused("n STRING", "SELECT i.x FROM events CROSS JOIN UNNEST(tags) AS i (a)"),
        refused("a STRING, b STRING", "SELECT UNNEST(tags), UNNEST(ARRAY['a']) FROM events"),
        refused("n BIGINT", &format!("SELECT COUNT(*) {window} GROUP BY window_start, window_end, params")),
        refused("c ROW<page ROW<path STRING>, x STRING>", "SELECT ctx FROM events"),
        refused("c ARRAY<STRING>", "SELECT raw FROM events"),
    ];
    assert_snapshot!(errors.join("\n"));
}
