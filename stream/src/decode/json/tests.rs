use arrow::{
    datatypes::{DataType, Field, Schema},
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

fn raw(records: &[&[u8]]) -> RawBatch {
    let mut raw = RawBatch::default();
    for (offset, record) in (0..).zip(records) {
        raw.push(record, Offset::new(offset));
    }
    raw
}

fn decode(records: &[&[u8]]) -> (String, Vec<u32>, Vec<String>) {
    let mut decoder = JsonDecoder::new("t", schema()).unwrap();
    let decoded = decoder.decode(&raw(records)).unwrap();
    let rejects = decoded.rejects.into_iter().map(|r| format!("{}: {}", r.record, r.reason)).collect();
    (pretty_format_batches(&[decoded.batch]).unwrap().to_string(), decoded.records, rejects)
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
    7: field 'at': expected a time such as "2026-01-05T12:00:00.123Z", found 17
    8: not valid JSON: trailing characters at line 1 column 12
    "#);
}

/// Objects with the fields of [`schema`] and others, in any order, with values of right and wrong types.
fn object() -> impl Strategy<Value = String> {
    let key =
        prop::sample::select(vec!["id", "n", "small", "x", "ok", "at", "d", "other", "i\\u0064", "", "é"]);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever the scanner answers, the full parser answers too, with its order memory in any state.
    #[test]
    fn the_fast_path_agrees_with_the_full_parser(records in prop::collection::vec(object(), 1..6)) {
        let fields: Arc<[(String, Kind)]> = schema()
            .fields()
            .iter()
            .map(|f| (f.name().clone(), Kind::of(f.data_type()).unwrap()))
            .collect();
        let mut scanner = Scanner::new(Arc::clone(&fields));
        let mut fallback = Fallback::new(fields);
        let texts = |cells: &[value::Cell], text: &str| -> Vec<String> {
            cells.iter().map(|cell| match cell {
                value::Cell::Text(start, end) => format!("text {}", &text[*start..*end]),
                other => format!("{other:?}"),
            }).collect()
        };
        for record in &records {
            if let Some(cells) = scanner.scan(record) {
                let fast = texts(cells, record);
                let full = fallback.parse(record).map(|(cells, text)| texts(cells, text));
                prop_assert_eq!(Ok(fast), full, "{}", record);
            }
        }
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
        let mut decoder = JsonDecoder::new("t", schema()).unwrap();
        let decoded = decoder.decode(&raw(&records)).unwrap();
        let even: Vec<u32> = decoded.records.iter().copied().filter(|r| r % 2 == 0).collect();
        prop_assert_eq!(even.len(), noise.len() + 1);
        prop_assert_eq!(decoded.records.len() + decoded.rejects.len(), records.len());
    }
}
