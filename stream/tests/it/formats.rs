//! Formats of sources: CSV and raw values; what they cannot read is set aside with its bytes.

use arrow::array::AsArray;
use insta::assert_snapshot;

use crate::run::{Done, block_on, files, plan, try_run};

/// Runs a table of these columns and options over a file, and shows the columns that are selected.
fn read(lines: &[&str], columns: &str, options: &str, out: &str, select: &str) -> Done {
    let folder = files(&[lines.iter().map(|line| line.as_bytes().to_vec()).collect()]);
    let path = folder.path().display();
    let script = format!(
        "CREATE TABLE events ({columns}) WITH ('connector' = 'filesystem', 'path' = '{path}', {options});
         CREATE TABLE out ({out}) WITH ('connector' = 'collect', 'emit' = 'final');
         INSERT INTO out SELECT {select};"
    );
    block_on(try_run(&script)).unwrap_or_else(|error| panic!("{error}"))
}

/// The records that were set aside, each with its reason.
fn set_aside(done: &Done) -> String {
    let mut all = Vec::new();
    for batch in done.collected.finals("dead_letters") {
        let reasons = batch.column_by_name("reason").unwrap().as_string::<i32>();
        let payloads = batch.column_by_name("payload").unwrap().as_binary::<i32>();
        for (payload, reason) in payloads.iter().zip(reasons) {
            all.push(format!("{}: {}", String::from_utf8_lossy(payload.unwrap()), reason.unwrap()));
        }
    }
    all.join("\n")
}

const ALL: &str =
    "s STRING, b BOOLEAN, i TINYINT, n BIGINT, f DOUBLE, d DECIMAL(5, 2), day DATE, t TIMESTAMP(3)";

#[test]
fn csv_of_every_type_and_what_is_set_aside() {
    let lines = [
        "plain,true,-128,9007199254740993,1.5,1.20,2026-01-05,2026-01-05 12:00:00.250",
        "\"a \"\"quote\"\", and more\",FALSE, 7 ,+5,1e2,-3,2026-01-06,2026-01-05T12:00:01Z",
        " kept ,true,1,1,1,1,2026-01-05,2026-01-05 12:00:02",
        "",
        "no,yes,1,1,1,1,2026-01-05,2026-01-05 12:00:03",
        "no,true,128,1,1,1,2026-01-05,2026-01-05 12:00:03",
        "no,true,1,1.5,1,1,2026-01-05,2026-01-05 12:00:03",
        "no,true,1,1,1,1.239,2026-01-05,2026-01-05 12:00:03",
        "no,true,1,1,1,1,2026-01-05",
        "no,true,1,1,1,1,2026-01-05,2026-01-05 12:00:03,more",
        "no,true,,1,1,1,2026-01-05,2026-01-05 12:00:03",
        "\"not closed,true,1,1,1,1,2026-01-05,2026-01-05 12:00:03",
    ];
    let done = read(&lines, ALL, "'format' = 'csv'", ALL, "* FROM events");
    assert_snapshot!(done.finals(), @r#"
    s                    b      i     n                 f      d      day         t
     kept                true   1     1                 1.0    1.00   2026-01-05  12:00:02
    a "quote", and more  false  7     5                 100.0  -3.00  2026-01-06  12:00:01
    plain                true   -128  9007199254740993  1.5    1.20   2026-01-05  12:00:00.250
    "#);
    assert_eq!(done.counts(), [12, 3, 0, 0, 0, 9]);
    assert_snapshot!(set_aside(&done), @r#"
    : the record is empty
    no,yes,1,1,1,1,2026-01-05,2026-01-05 12:00:03: field 'b': expected true or false, found 'yes'
    no,true,128,1,1,1,2026-01-05,2026-01-05 12:00:03: field 'i': expected a whole number from -128 to 127, found '128'
    no,true,1,1.5,1,1,2026-01-05,2026-01-05 12:00:03: field 'n': expected a whole number of 64 bits, found '1.5'
    no,true,1,1,1,1.239,2026-01-05,2026-01-05 12:00:03: field 'd': expected a decimal number within the column's precision and scale, found '1.239'
    no,true,1,1,1,1,2026-01-05: 7 fields, but the table has 8 columns
    no,true,1,1,1,1,2026-01-05,2026-01-05 12:00:03,more: 9 fields, but the table has 8 columns
    no,true,,1,1,1,2026-01-05,2026-01-05 12:00:03: field 'i': expected a whole number from -128 to 127, found ''
    "not closed,true,1,1,1,1,2026-01-05,2026-01-05 12:00:03: field 1 is not closed by a quote
    "#);
}

#[test]
fn csv_in_flinks_other_spellings() {
    let options = "'format' = 'csv', 'csv.field-delimiter' = ';', 'csv.quote-character' = '''',
        'csv.null-literal' = 'n/a', 'csv.ignore-parse-errors' = 'true', 'csv.escape-character' = '\\'";
    let lines = ["'a;b';1", "n/a;n/a", "it\\'s;2", "x;1;2"];
    let done = read(&lines, "s STRING, n INT", options, "s STRING, n INT", "* FROM events");
    assert_snapshot!(done.finals(), @r"
    s     n
    NULL  NULL
    a;b   1
    it's  2
    ");
    assert_eq!(done.counts(), [4, 3, 0, 0, 0, 1]);
    let tabs = "'format' = 'csv', 'csv.field-delimiter' = '\\t', 'csv.disable-quote-character' = 'true'";
    let done = read(&["\"a\t1"], "s STRING, n INT", tabs, "s STRING, n INT", "* FROM events");
    assert_snapshot!(done.finals(), @r#"
    s   n
    "a  1
    "#);
}

#[test]
fn csv_columns_keep_their_places_where_few_are_wanted() {
    let columns = "k STRING, skipped STRING, v BIGINT, t TIMESTAMP(3), w AS v * 2, WATERMARK FOR t AS t";
    let lines = [
        "a,x,1,2026-01-05 12:00:00",
        "b,x,2,2026-01-05 12:00:01",
        "a,y,4,2026-01-05 12:00:02",
        "a,y,8,2026-01-05 12:00:20",
    ];
    let windows = "TABLE(TUMBLE(TABLE events, DESCRIPTOR(t), INTERVAL '10' SECOND))";
    let query = format!(
        "window_start, SUM(w), COUNT(*) FILTER (WHERE k = 'a') FROM {windows} WHERE k LIKE 'a%' OR k = 'b'
         GROUP BY window_start, window_end"
    );
    let done = read(&lines, columns, "'format' = 'csv'", "t TIMESTAMP(3), w BIGINT, a BIGINT", &query);
    assert_snapshot!(done.finals(), @r"
    t         w   a
    12:00:00  14  2
    12:00:20  16  1
    ");
    let done = read(&lines, columns, "'format' = 'csv'", "n BIGINT", "1 FROM events");
    assert_snapshot!(done.finals(), @r"
    n
    1
    1
    1
    1
    ");
}

#[test]
fn raw_is_the_whole_record() {
    let lines = ["plain text", "", "{\"json\": 1}"];
    let done = read(
        &lines,
        "line STRING, n AS char_length(line)",
        "'format' = 'raw'",
        "l STRING, n INT",
        "line, n FROM events",
    );
    assert_snapshot!(done.finals(), @r#"
    l            n
                 0
    plain text   10
    {"json": 1}  11
    "#);
    assert_eq!(done.counts(), [3, 3, 0, 0, 0, 0]);
    let folder = files(&[vec![b"good".to_vec(), vec![b'a', 0xff]]]);
    let script = |data_type: &str| {
        format!(
            "CREATE TABLE events (line {data_type}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'raw');
             CREATE TABLE out (line {data_type}) WITH ('connector' = 'collect'); INSERT INTO out SELECT line FROM events",
            folder.path().display()
        )
    };
    let bytes = block_on(try_run(&script("BYTES"))).unwrap_or_else(|error| panic!("{error}"));
    assert_snapshot!(bytes.finals(), @r"
    line
    61ff
    676f6f64
    ");
    let done = block_on(try_run(&script("STRING"))).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(done.counts(), [2, 1, 0, 0, 0, 1]);
    assert_snapshot!(set_aside(&done), @"a�: not UTF-8: invalid utf-8 sequence of 1 bytes from index 1");
}

#[test]
fn options_and_types_of_a_format_are_checked_when_the_script_is_planned() {
    let refusal = |columns: &str, options: &str| {
        let script = format!(
            "CREATE TABLE events ({columns}) WITH ('connector' = 'filesystem', 'path' = 'x', {options});
             CREATE TABLE out (a INT) WITH ('connector' = 'collect'); INSERT INTO out SELECT 1 FROM events WHERE a IS NULL"
        );
        plan(&script).err().map_or("planned".to_owned(), |error| error.to_string())
    };
    assert_snapshot!(refusal("a INT", "'format' = 'avro'"), @"table events: option 'format' = 'avro' is not a known format; these are: 'csv', 'json', 'raw'");
    assert_snapshot!(refusal("a INT, b INT", "'format' = 'raw'"), @"table events: a table of format 'raw' has one column for the whole record, not 2");
    assert_snapshot!(refusal("a INT", "'format' = 'raw'"), @"table events: a column of format 'raw' is STRING or BYTES; 'a' is Int32");
    assert_snapshot!(refusal("a STRING", "'format' = 'raw', 'raw.charset' = 'UTF-16'"), @"table events: option 'raw.charset' = 'UTF-16' is not 'UTF-8'");
    assert_snapshot!(refusal("a BYTES", "'format' = 'csv'"), @"table events: column 'a' of type Binary cannot be read from CSV");
    assert_snapshot!(refusal("a INT", "'format' = 'csv', 'csv.field-delimiter' = '||'"), @r"table events: option 'csv.field-delimiter' = '||' is not one character, or \t for a tab");
    assert_snapshot!(refusal("a INT", "'format' = 'csv', 'csv.allow-comments' = 'true'"), @"table events: unknown option 'csv.allow-comments'; it understands: allowed-lateness, connector, csv.disable-quote-character, csv.escape-character, csv.field-delimiter, csv.ignore-parse-errors, csv.null-literal, csv.quote-character, deduplicate.horizon, deduplicate.key, format, idle-timeout, max-future, path");
    assert_snapshot!(refusal("a INT", "'format' = 'json', 'json.fail-on-missing-field' = 'true'"), @"table events: option 'json.fail-on-missing-field' = 'true' is not 'false': a field that is missing is NULL");
    assert_snapshot!(refusal("a INT", "'format' = 'json', 'csv.field-delimiter' = ';'"), @"table events: unknown option 'csv.field-delimiter'; it understands: allowed-lateness, connector, deduplicate.horizon, deduplicate.key, format, idle-timeout, json.fail-on-missing-field, json.ignore-parse-errors, json.timestamp-format.standard, max-future, path");
}
