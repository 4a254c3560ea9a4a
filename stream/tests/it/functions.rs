//! Functions and expressions in Flink's meaning, each through a whole script.
//!
//! The tables are by hand, from what Flink's documentation says; a value is compared as the text that a
//! `STRING` column gets. `NULL` is no value.

use crate::{
    run::{block_on, check, files, plan, try_run},
    text,
};

const ROW: &str = "
    time      k    v
    12:00:01  Abc  5";

/// The examples of the page on the dialect: `what | expression | value`.
fn examples() -> &'static str {
    let page = include_str!("../../../docs/sql.md");
    let block = page.split("## Examples").nth(1).and_then(|rest| rest.split("```").nth(1));
    block.and_then(|block| block.strip_prefix("text\n")).expect("docs/sql.md has a block of examples")
}

fn rows() -> impl Iterator<Item = [&'static str; 3]> {
    examples().lines().filter(|line| !line.is_empty()).map(|line| {
        // An expression may hold the separator, but not with blanks on both sides.
        let mut parts = line.split(" | ").map(str::trim);
        [(); 3].map(|()| parts.next().unwrap_or_default())
    })
}

#[test]
fn functions_mean_what_flink_documents() {
    let mut wrong = Vec::new();
    assert!(rows().count() > 150, "examples are missing");
    for [what, expression, expected] in rows() {
        let got = check(ROW, "x STRING", &format!("SELECT CAST({expression} AS STRING) FROM events"));
        let got = got.lines().nth(1).unwrap_or_default().trim().to_owned();
        if got != expected {
            wrong.push(format!("{what}: {expression} is {got}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each is refused, with a message that holds the text.
const REFUSED: &[(&str, &str)] = &[
    ("CAST(v AS TIMESTAMP(3))", "TO_TIMESTAMP_LTZ"),
    ("CAST(`time` AS BIGINT)", "EXTRACT(EPOCH"),
    ("CAST(CAST(`time` AS DATE) AS TIME)", "a time of the day"),
    ("CAST('1:00' AS TIME(6))", "three digits"),
    ("CAST(`time` AS TIMESTAMP_LTZ(9))", "six digits"),
    ("TIMESTAMPDIFF(DAY, CAST(`time` AS TIMESTAMP_LTZ(3)), DATE '2020-01-01')", "with a zone"),
    ("TO_TIMESTAMP_LTZ(v, 'yyyy')", "a precision"),
    ("TO_TIMESTAMP_LTZ(k, 'yyyy', 'Mars/Base')", "Mars/Base"),
    ("STARTSWITH(k, UNHEX('41'))", "and not both"),
    ("ARRAY_JOIN(ARRAY[1], ',')", "an array of texts"),
    ("ARRAY_APPEND(ARRAY['a'], 1)", "one array"),
    ("ARRAY_SORT(ARRAY[ARRAY[1]])", "an order"),
    ("JSON_VALUE(k, '$' RETURNING DATE)", "BOOLEAN, INTEGER or DOUBLE"),
    ("JSON_OBJECT(KEY k VALUE 1)", "literal text"),
    ("JSON_STRING(`time`)", "TIMESTAMP_LTZ(3)"),
    ("JSON(k)", "json"),
    ("k IS NORMALIZED", "NORMALIZED"),
    ("PRINTF('%s', `time`)", "texts, numbers and truth values"),
    ("MAP['a']", "in turn"),
    ("CAST(k AS STRING) = v", "cast one of them"),
    ("k ILIKE 'a'", "LOWER"),
    ("DATE_FORMAT(`time`, 5)", "a text"),
    ("TIMESTAMPADD(FORTNIGHT, 1, `time`)", "FORTNIGHT"),
    ("ELT(-1, k)", "ELT"),
    ("to_hex2(v)", "to_hex2"),
];

#[test]
fn what_has_another_meaning_is_refused() {
    for (expression, word) in REFUSED {
        let script = format!(
            "CREATE TABLE events (`time` TIMESTAMP(3), k STRING, v BIGINT) WITH ('connector' = 'filesystem', 'path' = 'e');
             CREATE TABLE out (x STRING) WITH ('connector' = 'collect'); INSERT INTO out SELECT CAST({expression} AS STRING) FROM events"
        );
        let error = plan(&script).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(word), "{expression}: {error}");
    }
}

#[test]
fn identifiers_keep_their_case() {
    let folder = files(&[vec![
        br#"{"anonymousId":"a","anonymousid":"b","eventTime":"2026-01-05T12:00:01Z"}"#.to_vec(),
    ]]);
    let script = format!(
        "CREATE TABLE events (anonymousId STRING, anonymousid STRING, eventTime TIMESTAMP(3),
           loudId AS UPPER(anonymousId), WATERMARK FOR eventTime AS eventTime - INTERVAL '1' SECOND)
         WITH ('connector' = 'filesystem', 'path' = '{}');
         CREATE TABLE out (upperId STRING, anonymousId STRING, n BIGINT) WITH ('connector' = 'collect', 'emit' = 'final');
         CREATE VIEW someView AS SELECT * FROM events;
         INSERT INTO out (anonymousId, upperId, n) SELECT anonymousId, loudId, count(*)
         FROM TABLE(TUMBLE(TABLE someView, DESCRIPTOR(eventTime), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end, anonymousId, loudId",
        folder.path().display()
    );
    let done = block_on(try_run(&script)).unwrap_or_else(|error| panic!("{error}"));
    insta::assert_snapshot!(text::table(&done.collected.finals("out"), false), @r"
    upperId  anonymousId  n
    A        a            1
    ");
}
