mod derived;
mod nested;
mod reference;

use arrow::{
    array::AsArray,
    datatypes::{DataType, Field, Int64Type, Schema},
    util::pretty::pretty_format_batches,
};
use proptest::prelude::*;

use super::*;
use crate::{table::timestamp_type, time::Offset};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
        Field::new("small", DataType::Int8, true),
        Field::new("x", DataType::Float64, true),
        Field::new("ok", DataType::Boolean, true),
        Field::new("at", timestamp_type(), true),
        Field::new("d", DataType::Decimal128(10, 2), true),
    ]))
}

/// Every kind of column, and none of a name that [`schema`] has not.
fn wide_schema() -> SchemaRef {
    let more = [
        Field::new("short", DataType::Int16, true),
        Field::new("int", DataType::Int32, true),
        Field::new("y", DataType::Float32, true),
        Field::new("day", DataType::Date32, true),
        Field::new("local", DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None), true),
    ];
    let fields = schema().fields().iter().map(|field| field.as_ref().clone()).chain(more).collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

fn raw<R: AsRef<[u8]>>(records: &[R]) -> RawBatch {
    let mut raw = RawBatch::default();
    for (offset, record) in (0..).zip(records) {
        raw.push(record.as_ref(), Offset::new(offset));
    }
    raw
}

/// As files are read: records as marks in one run of lines, here with something between them.
fn run<R: AsRef<[u8]>>(records: &[R], between: &[u8]) -> RawBatch {
    let mut raw = RawBatch::default();
    for (offset, record) in (0..).zip(records) {
        let (record, start) = (record.as_ref(), raw.buffer().len());
        for bytes in [record, between] {
            raw.room(bytes.len()).copy_from_slice(bytes);
            raw.filled(bytes.len());
        }
        raw.mark(start..start + record.len(), Offset::new(offset));
    }
    raw
}

fn decode(records: &[&[u8]]) -> (String, Vec<u32>, Vec<String>) {
    let mut decoder = JsonDecoder::new("t", DecodePlan::all(schema())).unwrap();
    let decoded = decoder.decode(&raw(records)).unwrap();
    let rejects = decoded.rejects.into_iter().map(|r| format!("{}: {}", r.record, r.reason)).collect();
    (pretty_format_batches(&[decoded.batch]).unwrap().to_string(), decoded.records, rejects)
}

/// The decoder's answer to each batch in turn is the reference's.
fn check(plan: &DecodePlan, batches: &[RawBatch]) {
    let mut decoder = JsonDecoder::new("t", plan.clone()).unwrap();
    for raw in batches {
        let (found, expected) = (decoder.decode(raw).unwrap(), reference::decode(plan, raw));
        let records = || raw.records().map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
        assert_eq!(found.rejects, expected.rejects, "{}", records());
        assert_eq!(found.records, expected.records, "{}", records());
        assert_eq!(found.batch, expected.batch, "{}", records());
    }
}

#[test]
fn typed_columns_from_objects() {
    let (table, records, rejects) = decode(&[
        br#"{"id":"a","n":1,"small":-8,"x":1.5,"ok":true,"at":"2026-01-05T12:00:00.5Z","d":1.25,"extra":{"deep":[1,"}"]}}"#,
        br#" { "ok" : false , "id" : "b\n\u00e9" , "n" : 2.0 } "#,
        br#"{"id":{"nested":[1, 2]},"n":null,"x":7,"id":17}"#,
        b"{}",
    ]);
    insta::assert_snapshot!(table, @r"
    +----+---+-------+-----+-------+--------------------------+------+
    | id | n | small | x   | ok    | at                       | d    |
    +----+---+-------+-----+-------+--------------------------+------+
    | a  | 1 | -8    | 1.5 | true  | 2026-01-05T12:00:00.500Z | 1.25 |
    | b  | 2 |       |     | false |                          |      |
    | é  |   |       |     |       |                          |      |
    | 17 |   |       | 7.0 |       |                          |      |
    |    |   |       |     |       |                          |      |
    +----+---+-------+-----+-------+--------------------------+------+
    ");
    assert_eq!(records, [0, 1, 2, 3]);
    assert!(rejects.is_empty());
}

#[test]
fn bad_records_are_named_and_leave_their_neighbours_alone() {
    let (_, records, rejects) = decode(&[
        br#"{"id":"a"}"#,
        br#"{"id":"#,
        b"",
        b"[1]",
        br#"{"n":"12"}"#,
        br#"{"small":300}"#,
        b"\xff{}",
        br#"{"at":17}"#,
        br#"{"id":"z"} trailing"#,
        br#"{"id":"b"}"#,
    ]);
    assert_eq!(records, [0, 9]);
    insta::assert_snapshot!(rejects.join("\n"), @r#"
    1: not valid JSON: EOF while parsing a value at line 1 column 6
    2: the record is empty
    3: not a JSON object
    4: field 'n': expected a whole number of 64 bits, found "12"
    5: field 'small': expected a whole number from -128 to 127, found 300
    6: not UTF-8: invalid utf-8 sequence of 1 bytes from index 0
    7: field 'at': expected a time such as "2026-01-05T12:00:00.123Z", from 1677-09-21 to 2262-04-11, found 17
    8: not valid JSON: trailing characters at line 1 column 12
    "#);
}

/// Objects with the fields of [`schema`] and others, in any order, with values of right and wrong types.
fn object() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "id",
        "n",
        "small",
        "x",
        "ok",
        "at",
        "d",
        "short",
        "int",
        "y",
        "day",
        "local",
        "other",
        "i\\u0064",
        "",
        "é",
        "a key of more than thirty-two bytes",
    ]);
    let value = prop::sample::select(vec![
        "null",
        "true",
        "false",
        "tru",
        "0",
        "-0",
        "01",
        "1.",
        "12",
        "-7",
        "12.0",
        "12.5",
        "1e2",
        "1E+400",
        "123456789012345678",
        "1234567890123456789",
        "9223372036854775808",
        "\"\"",
        "\"text\"",
        "\"tab\\t\"",
        "\"\\u00e9\"",
        "\"\\ud800\"",
        "\"é\"",
        "\"a\u{1}\"",
        "\"2026-01-05T12:00:00Z\"",
        "\"2026-01-05\"",
        "\"2026-01-05T12:34:56.789Z\"",
        "\"2026-02-29T12:34:56.789Z\"",
        "\"\\u0032026-01-05T12:34:56.789Z\"",
        "\"a text of more than sixty-four bytes, which is more than what is copied at once\"",
        "\"\\ud83d\\ude00 \\u00zz\"",
        "\"\\ud83d\\ude00\\/\"",
        "70000",
        "-129",
        "1234567",
        "12345678",
        "{}",
        "[]",
        "[1,{\"a\":\"]\"}]",
        "{\"a\":}",
        "[1,]",
        "\"unclosed",
        "",
        "-",
        "\"\\x\"",
    ]);
    let space = prop::sample::select(vec!["", "", "", " ", "\n\t "]);
    let member = (key, value, space)
        .prop_map(|(key, value, space)| format!("{space}\"{key}\"{space}:{space}{value}{space}"));
    (
        prop::collection::vec(member, 0..6),
        prop::sample::select(vec!["{", "{", "{", "[", ""]),
        prop::sample::select(vec!["}", "}", "}", "", "}x", "} "]),
    )
        .prop_map(|(members, open, close)| format!("{open}{}{close}", members.join(",")))
}

/// Events as most topics have them: three layouts, fields that are null or absent or come twice, a style of
/// white space each.
fn event() -> impl Strategy<Value = String> {
    let id = prop::sample::select(vec!["\"a\"", "\"purchase\"", "\"view_item\"", "null", "\"é\"", "17"]);
    let n = prop::sample::select(vec!["1", "20", "300", "1234567890", "null", "-5", "0"]);
    let at = prop::sample::select(vec![
        "\"2026-01-05T12:34:56.789Z\"",
        "\"2026-01-06T00:00:00.000Z\"",
        "\"2026-01-05T12:34:56Z\"",
        "null",
    ]);
    let style = prop::sample::select(vec![(",", ":"), (", ", ": ")]);
    (id, n, at, 0..7, style).prop_map(|(id, n, at, layout, (comma, colon))| {
        let members: &[(&str, &str)] = match layout {
            0 => &[("id", id), ("n", n), ("at", at), ("other", "\"skipped\"")],
            1 => &[("other", "[1]"), ("at", at), ("id", id), ("x", n)],
            2 => &[("id", id), ("at", at)],
            3 => &[("id", id), ("n", n), ("id", "\"again\""), ("n", "null"), ("at", at), ("n", n)],
            4 => &[("id", id), ("n", "1.5"), ("at", at)],
            5 => &[("at", at), ("small", n)],
            _ => &[],
        };
        let members: Vec<String> =
            members.iter().map(|(key, value)| format!("\"{key}\"{colon}{value}")).collect();
        format!("{{{}}}", members.join(comma))
    })
}

/// An event's bytes, sometimes damaged.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let record = prop_oneof![4 => event(), 2 => object()];
    let damage = prop_oneof![
        6 => Just(Vec::new()),
        1 => prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
        1 => prop::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(&b"\"\\,:{}[]0-.e \n\x00\xc3"[..])),
            1..3
        ),
    ];
    (record, damage, prop::option::weighted(0.1, any::<prop::sample::Index>())).prop_map(
        |(record, damage, cut)| {
            let mut bytes = record.into_bytes();
            for (at, byte) in damage {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..bytes.len().min(at + 1), [byte]);
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Whatever the bytes, and whatever the decoder has seen before.
    #[test]
    fn the_fast_path_answers_as_the_full_parser(
        batches in prop::collection::vec(prop::collection::vec(bytes(), 0..12), 1..4),
        between in prop::sample::select(vec!["", "\n", "\"}", "}", "0}", "\u{e9}\"}"]),
    ) {
        let batches: Vec<RawBatch> = batches.iter().map(|records| run(records, between.as_bytes())).collect();
        check(&DecodePlan::all(wide_schema()), &batches);
        let (columns, derived) = (vec![5, 1], derived::of_ids());
        check(&DecodePlan { fields: schema(), columns, derived }, &batches);
    }

    #[test]
    fn corrupt_bytes_between_records_harm_only_themselves(
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 1..5),
    ) {
        let good: &[u8] = br#"{"id":"good","n":1}"#;
        let mut records: Vec<&[u8]> = Vec::new();
        for bytes in &noise {
            records.push(good);
            records.push(bytes);
        }
        records.push(good);
        let mut decoder = JsonDecoder::new("t", DecodePlan::all(schema())).unwrap();
        let decoded = decoder.decode(&raw(&records)).unwrap();
        let even: Vec<u32> = decoded.records.iter().copied().filter(|r| r % 2 == 0).collect();
        prop_assert_eq!(even.len(), noise.len() + 1);
        prop_assert_eq!(decoded.records.len() + decoded.rejects.len(), records.len());
    }
}

/// A decoder's scanner alone: whether it answers.
fn is_fast(decoder: &mut JsonDecoder, record: &str) -> bool {
    let answered = decoder.scanner.scan(record.as_bytes(), record.len(), &mut decoder.columns).is_some();
    decoder.columns.undo_row();
    answered
}

#[test]
fn the_usual_is_not_left_to_the_full_parser() {
    let mut decoder = JsonDecoder::new("t", DecodePlan::all(schema())).unwrap();
    decoder.columns.start(100);
    for record in [
        r#"{"id":"a","n":1,"at":"2026-01-05T12:34:56.789Z"}"#,
        r#"{"n":1,"id":"a","at":"2026-01-05 12:34:56+01:00"}"#,
        r#" { "id" : "a" , "n" : -12345678901 } "#,
        r#"{"id":null,"n":null,"at":null,"ok":true,"x":1.5,"d":2.25,"small":7}"#,
        r#"{"id":"tab\t and \u00e9","other":"\ud83d\ude00","id":{"nested":[1,{}]}}"#,
        r#"{"id":"a","id":17,"n":12.0}"#,
        "{}",
    ] {
        assert!(is_fast(&mut decoder, record), "{record}");
        assert!(is_fast(&mut decoder, record), "{record}");
    }
    for record in [r#"{"i\u0064":"a"}"#, r#"{"n":"1"}"#, r#"{"n":1"#, r#"{"n":01}"#, "", "[]", "{} {}"] {
        assert!(!is_fast(&mut decoder, record), "{record}");
    }
}

#[test]
fn a_record_that_fails_half_way_leaves_no_trace() {
    let good =
        |n: usize| format!(r#"{{"id":"{}","n":{n},"ok":true,"x":0.5,"d":1,"small":1}}"#, "i".repeat(n));
    let mut records = Vec::new();
    for n in 0..70 {
        records.push(good(n));
        records
            .push(format!(r#"{{"id":"left over {n}","n":null,"ok":null,"x":1,"d":2,"small":{}}}"#, 100 + n));
        records.push(good(n)[..n].to_owned());
    }
    check(&DecodePlan::all(schema()), &[raw(&records), raw(&records[100..])]);
}

#[test]
fn huge_records_and_deep_ones() {
    let mut records = Vec::new();
    for length in [31, 32, 33, 63, 64, 65, 1_000, 3_000_000] {
        records.push(format!(r#"{{"id":"{0}","other":"{0}","n":1}}"#, "é".repeat(length)));
        records.push(format!(r#"{{"id":"{0}\n","other":"{0}\n","n":1}}"#, "x".repeat(length)));
        records.push(format!(r#"{{"{}":1,"n":2}}"#, "k".repeat(length)));
        records.push(format!(r#"{{"n":{}1}}"#, " ".repeat(length)));
        records.push(format!(r#"{{"x":1{},"n":2}}"#, "0".repeat(length)));
    }
    for depth in [20, 40, 126, 130, 100_000] {
        records.push(format!(r#"{{"id":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)));
        records.push("[".repeat(depth));
    }
    check(&DecodePlan::all(schema()), &[raw(&records)]);
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_are() {
    let good = r#"{"id":"café","n":1}"#.as_bytes();
    let cut = &good[..good.len() - 10];
    let records = [good, b"{\"id\":\"\xe9\"}", good, cut, good, b"{\"other\":\"\xc3\"}", good];
    for between in [&b""[..], b"\n", b"\xa9"] {
        let mut decoder = JsonDecoder::new("t", DecodePlan::all(schema())).unwrap();
        let decoded = decoder.decode(&run(&records, between)).unwrap();
        assert_eq!(decoded.records, [0, 2, 4, 6]);
        assert_eq!(decoded.rejects.iter().map(|reject| reject.record).collect::<Vec<_>>(), [1, 3, 5]);
        assert!(decoded.rejects.iter().all(|reject| !reject.reason.is_empty()));
        let ids = decoded.batch.column(0).as_string::<i32>();
        assert!(ids.iter().all(|id| id == Some("café")));
    }
}

#[test]
fn fields_that_are_only_checked_make_no_column() {
    let plan = DecodePlan { fields: schema(), columns: vec![1, 1], derived: Vec::new() };
    let mut decoder = JsonDecoder::new("t", plan).unwrap();
    let records = [r#"{"id":"a","n":1,"at":"2026-01-05"}"#, r#"{"id":"a","n":2,"small":5,"ok":null}"#, "{}"];
    let decoded = decoder.decode(&raw(&records)).unwrap();
    assert_eq!(decoded.rejects.len(), 1);
    assert_eq!(decoded.batch.num_columns(), 2);
    let numbers = decoded.batch.column(1).as_primitive::<Int64Type>();
    assert_eq!(numbers.iter().collect::<Vec<_>>(), [Some(2), None]);
}

#[test]
fn plans_that_contradict_themselves_are_refused() {
    let mut plan = DecodePlan { fields: schema(), columns: vec![7], derived: Vec::new() };
    assert!(JsonDecoder::new("t", plan.clone()).is_err());
    (plan.columns, plan.derived) = (vec![0], derived::of_ids());
    assert!(JsonDecoder::new("t", plan.clone()).is_ok());
    plan.derived[0].column = 1;
    assert!(JsonDecoder::new("t", plan).is_err());
}
