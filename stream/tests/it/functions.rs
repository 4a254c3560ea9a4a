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

/// `what | expression | value`.
const VALUES: &str = r"
concat is NULL with a NULL       | CONCAT('x', CAST(NULL AS STRING))                          | NULL
concat                           | CONCAT(k, '-', k)                                          | Abc-Abc
date_format                      | DATE_FORMAT(TIMESTAMP '2020-02-03 04:05:06.789', 'yyyy/M/dd HH:mm:ss.SSS') | 2020/2/03 04:05:06.789
date_format of a text            | DATE_FORMAT('2020-02-03 14:05:06', 'hh:mm a')              | 02:05 PM
log of one is natural            | CAST(ROUND(LOG(100), 6) AS STRING)                         | 4.60517
log has its base first           | CAST(LOG(10, 1000) AS STRING)                              | 2.9999999999999996
all matches are replaced         | REGEXP_REPLACE('foobar', 'oo|ar', '-')                     | f-b-
a replacement is plain text       | REGEXP_REPLACE('ab', '(.)', '$1\')                       | $1\$1\
regexp_extract                   | REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)            | bar
greatest sees NULL               | GREATEST(1, CAST(NULL AS INT))                             | NULL
greatest                         | GREATEST(1, v, 3)                                          | 5
least sees NULL                  | LEAST(1, CAST(NULL AS INT))                                | NULL
milliseconds hold no seconds     | EXTRACT(MILLISECOND FROM TIMESTAMP '2020-01-01 00:00:03.123') | 123
Sunday is day one                | EXTRACT(DOW FROM DATE '2020-02-02')                        | 1
dayofweek                        | DAYOFWEEK(DATE '2020-02-03')                               | 2
a backslash in LIKE is itself    | 'TE_ST' LIKE '%E\_S%'                                      | false
LIKE with a declared escape      | 'TE_ST' LIKE '%E#_S%' ESCAPE '#'                           | true
LIKE with an escaped escape      | 'a#b' LIKE 'a##b' ESCAPE '#'                               | true
overlay outside changes nothing  | OVERLAY('abc' PLACING 'x' FROM 9 FOR 1)                    | abc
overlay                          | OVERLAY('abcdef' PLACING 'xx' FROM 2 FOR 3)                | axxef
lpad of a negative length        | LPAD('hi', -1, '?')                                        | NULL
lpad                             | LPAD('hi', 4, '??')                                        | ??hi
lpad cuts                        | LPAD('hi', 1, '??')                                        | h
chr over 255                     | CHR(353)                                                   | a
translate with NULL              | TRANSLATE('www.apache.org', 'abc', CAST(NULL AS STRING))   | www.phe.org
substring from the end           | SUBSTRING('hello', -3, 2)                                  | ll
substring from 0                 | SUBSTR('hello', 0, 3)                                      | hel
left of a negative length        | `LEFT`('hello', -2)                                        | 
split_index                      | SPLIT_INDEX('a;b;c', ';', 1)                               | b
split_index outside              | SPLIT_INDEX('a;b;c', ';', 3)                               | NULL
locate                           | LOCATE('l', 'hello', 4)                                    | 4
if                               | IF(v > 3, 'many', 'few')                                   | many
mod                              | MOD(v + 2, 4)                                              | 3
timestampadd                     | TIMESTAMPADD(MONTH, 1, DATE '2020-01-31')                  | 2020-02-29
timestampdiff                    | TIMESTAMPDIFF(MONTH, DATE '2020-01-31', DATE '2020-02-29') | 0
timestampdiff in hours           | TIMESTAMPDIFF(HOUR, DATE '2020-01-31', DATE '2020-02-01')  | 24
floor to a month                 | FLOOR(DATE '2020-02-17' TO MONTH)                          | 2020-02-01
ceil to a year                   | CEIL(DATE '2020-02-17' TO YEAR)                            | 2021-01-01
from_unixtime                    | FROM_UNIXTIME(44)                                          | 1970-01-01 00:00:44
unix_timestamp                   | UNIX_TIMESTAMP('1970-01-01 00:01:00')                      | 60
to_date                          | TO_DATE('03/02/2020', 'dd/MM/yyyy')                        | 2020-02-03
a decimal literal is a decimal   | 0.1 + 0.2                                                  | 0.3
decimal division                 | CAST(1 AS DECIMAL(3, 2)) / CAST(3 AS DECIMAL(3, 2))        | 0.333333
a decimal without digits has ten | CAST(1.5 AS DECIMAL)                                       | 2
milliseconds outside of years 0 to 9999 | TO_TIMESTAMP_LTZ(253402300800000, 3)                 | NULL
a fraction may be longer         | UNIX_TIMESTAMP('1970-01-01 00:00:01.12345', 'yyyy-MM-dd HH:mm:ss.SSS') | 1
decimals past 38 digits are NULL | CAST('10000000000000000000' AS DECIMAL(38, 0)) * CAST('10000000000000000000' AS DECIMAL(38, 0)) | NULL
";

fn rows() -> impl Iterator<Item = [&'static str; 3]> {
    VALUES.lines().filter(|line| !line.is_empty()).map(|line| {
        // An expression may hold the separator, but not with blanks on both sides.
        let mut parts = line.split(" | ").map(str::trim);
        [(); 3].map(|()| parts.next().unwrap_or_default())
    })
}

#[test]
fn functions_mean_what_flink_documents() {
    let mut wrong = Vec::new();
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
    ("CAST(`time` AS TIME)", "DATE_FORMAT"),
    ("CAST(INTERVAL '1' DAY AS STRING)", "TIMESTAMPDIFF"),
    ("CAST(k AS STRING) = v", "cast one of them"),
    ("k ILIKE 'a'", "LOWER"),
    ("DATE_FORMAT(`time`, 5)", "a text"),
    ("TIMESTAMPADD(FORTNIGHT, 1, `time`)", "FORTNIGHT"),
    ("CEIL(`time` TO MONTH)", "a date"),
    ("CEIL(CAST(`time` AS DATE) TO DAY)", "a timestamp"),
    ("ELT(-1, k)", "ELT"),
    ("encode(k, 'hex')", "encode"),
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
