//! Values inside of values, and the types that only they are made of in the other tests.

use arrow::datatypes::Fields;

use super::*;
use crate::table::JSON_METADATA;

fn json(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true).with_metadata([(JSON_METADATA.to_owned(), String::new())].into())
}

fn row(fields: Vec<Field>) -> DataType {
    DataType::Struct(fields.into())
}

fn list(of: DataType) -> DataType {
    DataType::List(Field::new_list_field(of, true).into())
}

fn map(value: DataType) -> DataType {
    let entries =
        Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)]);
    DataType::Map(Field::new("entries", DataType::Struct(entries), false).into(), false)
}

/// A column of each shape, shapes in shapes, and the kinds that the flat schema has not.
fn nested_schema() -> SchemaRef {
    let item = row(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
        Field::new("tags", list(DataType::Utf8), true),
        json("raw"),
    ]);
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("items", list(item), true),
        Field::new(
            "page",
            row(vec![Field::new("at", timestamp_type(), true), Field::new("x", DataType::Float64, true)]),
            true,
        ),
        Field::new("params", map(DataType::Int64), true),
        Field::new("lists", map(list(DataType::UInt8)), true),
        json("raw"),
        Field::new("big", DataType::UInt64, true),
        Field::new("bytes", DataType::Binary, true),
        Field::new("time", DataType::Time64(arrow::datatypes::TimeUnit::Nanosecond), true),
    ]))
}

/// JSON values of any shape, with members of the names that the schema has, and with mistakes.
fn value() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec![
        "null",
        "true",
        "0",
        "7",
        "-7",
        "255",
        "300",
        "12.0",
        "12.5",
        "18446744073709551615",
        "\"text\"",
        "\"\"",
        "\"tab\\t\"",
        "\"\\ud800\"",
        "\"YWJj\"",
        "\"YQ==\"",
        "\"YQ\\u003d=\"",
        "\"12:34:56.789\"",
        "\"2026-01-05T12:34:56.789Z\"",
        "\"é\"",
        "01",
        "tru",
        "",
        "\"unclosed",
    ])
    .prop_map(str::to_owned);
    let key =
        prop::sample::select(vec!["id", "n", "tags", "raw", "at", "x", "a", "b", "é", "i\\u0064", "\\ud800"]);
    let space = prop::sample::select(vec!["", "", "", " ", "\n"]);
    plain.prop_recursive(4, 24, 4, move |inner| {
        let member = (key.clone(), inner.clone(), space.clone());
        let members = prop::collection::vec(member, 0..5);
        let close = |usual: &'static str| prop_oneof![20 => Just(usual), 1 => Just(""), 1 => Just(",")];
        prop_oneof![
            (prop::collection::vec(inner, 0..4), space.clone(), close("]")).prop_map(
                |(items, space, close)| format!("[{space}{}{close}", items.join(&format!("{space},")))
            ),
            (members, close("}")).prop_map(|(members, close)| {
                let members = members
                    .iter()
                    .map(|(key, value, space)| format!("\"{key}\"{space}:{space}{value}{space}"));
                format!("{{{}{close}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

/// Values that fit their columns.
fn fitting(column: &'static str) -> BoxedStrategy<String> {
    let text =
        || prop::sample::select(vec!["\"a\"", "\"é\"", "null", "17", "\"tab\\t\""]).prop_map(str::to_owned);
    let number = || prop::sample::select(vec!["1", "null", "250", "7.0"]).prop_map(str::to_owned);
    let listed = |of: BoxedStrategy<String>| {
        prop::collection::vec(of, 0..4).prop_map(|items| format!("[{}]", items.join(", "))).boxed()
    };
    let mapped = |of: BoxedStrategy<String>| {
        let key = prop::sample::select(vec!["a", "b", "c", "é"]);
        prop::collection::vec((key, of), 0..4)
            .prop_map(|members| {
                let members = members.iter().map(|(key, value)| format!("\"{key}\":{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            })
            .boxed()
    };
    match column {
        "items" => {
            let item =
                (text(), number(), listed(text().boxed()), 0..4).prop_map(
                    |(id, n, tags, layout)| match layout {
                        0 => format!("{{\"id\":{id},\"n\":{n},\"tags\":{tags},\"raw\":{tags}}}"),
                        1 => format!("{{\"tags\":{tags},\"other\":[{n}],\"n\":{n}}}"),
                        2 => format!("{{\"n\":{n},\"n\":{n},\"tags\":null, \"raw\" : {{\"a\": {n}}} }}"),
                        _ => "null".to_owned(),
                    },
                );
            listed(item.boxed())
        }
        "page" => prop::sample::select(vec![
            "{}",
            "null",
            "{\"x\":1.5,\"at\":\"2026-01-05T12:34:56.789Z\"}",
            "{\"at\":null, \"y\":{}}",
        ])
        .prop_map(str::to_owned)
        .boxed(),
        "params" => mapped(number().boxed()),
        "lists" => mapped(listed(number().boxed())),
        "big" => number().boxed(),
        "bytes" => prop::sample::select(vec!["\"YWJj\"", "\"\"", "null"]).prop_map(str::to_owned).boxed(),
        "time" => prop::sample::select(vec!["\"12:34:56\"", "null"]).prop_map(str::to_owned).boxed(),
        _ => prop_oneof![text(), listed(text().boxed()), mapped(text().boxed())].boxed(),
    }
}

/// Records of such values, now and then with one of any kind.
fn record() -> impl Strategy<Value = String> {
    let columns = ["id", "items", "page", "params", "lists", "raw", "big", "bytes", "time"];
    let member = prop::sample::select(columns.to_vec()).prop_flat_map(|column| {
        prop_oneof![12 => fitting(column), 1 => value().boxed()]
            .prop_map(move |value| format!("\"{column}\":{value}"))
    });
    prop::collection::vec(member, 0..7).prop_map(|members| format!("{{{}}}", members.join(",")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_fast_path_answers_as_the_full_parser_on_nested_values(
        batches in prop::collection::vec(prop::collection::vec(record(), 0..10), 1..4),
        between in prop::sample::select(vec!["", "\n", "]}", "}]}", "\u{e9}\"}"]),
        wanted in prop::collection::vec(0_usize..9, 1..4),
    ) {
        let batches: Vec<RawBatch> = batches.iter().map(|records| run(records, between.as_bytes())).collect();
        check(&DecodePlan::all(nested_schema()), &batches);
        check(&DecodePlan { fields: nested_schema(), columns: wanted, derived: Vec::new() }, &batches);
    }
}

fn decode(records: &[&str]) -> (String, Vec<String>) {
    let mut decoder = JsonDecoder::new("t", DecodePlan::all(nested_schema())).unwrap();
    let decoded = decoder.decode(&raw(records)).unwrap();
    let rejects = decoded.rejects.into_iter().map(|r| format!("{}: {}", r.record, r.reason)).collect();
    let mut lines = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut lines);
    writer.write(&decoded.batch).unwrap();
    writer.finish().unwrap();
    (String::from_utf8(lines).unwrap(), rejects)
}

#[test]
fn values_come_out_as_they_went_in() {
    let (rows, rejects) = decode(&[
        r#"{"items":[{"id":"a","n":1,"tags":["x",null],"raw":{"b": [1, 2]}},null,{"tags":[],"unknown":{"n":"x"}}],"page":{"x":1.5}}"#,
        r#"{"params":{"b":1,"a":null,"b":3},"lists":{"k":[1,255],"l":null},"raw":"text","big":18446744073709551615}"#,
        r#"{"bytes":"YWJj","time":"12:34:56.789","raw":[1, {"a" : null}],"items":[],"page":null}"#,
    ]);
    insta::assert_snapshot!(rows);
    assert!(rejects.is_empty(), "{rejects:?}");
}

#[test]
fn what_does_not_fit_inside_is_named_by_its_path() {
    let (rows, rejects) = decode(&[
        r#"{"items":[{"n":1},{"n":"1"}]}"#,
        r#"{"items":{"n":1}}"#,
        r#"{"items":[[]]}"#,
        r#"{"items":[{"tags":["a","b"]},{"tags":"a"}]}"#,
        r#"{"page":{"at":"yesterday"}}"#,
        r#"{"page":[]}"#,
        r#"{"params":{"a":1,"b c":1.5}}"#,
        r#"{"lists":{"k":[1,256]}}"#,
        r#"{"big":-1}"#,
        r#"{"bytes":"not base 64"}"#,
        r#"{"time":"25:00:00"}"#,
        r#"{"items":[{"n":1}}"#,
    ]);
    assert_eq!(rows, "");
    insta::assert_snapshot!(rejects.join("\n"));
}

#[test]
fn nested_values_are_not_left_to_the_full_parser() {
    let mut decoder = JsonDecoder::new("t", DecodePlan::all(nested_schema())).unwrap();
    decoder.columns.start(100);
    for record in [
        r#"{"items":[{"id":"a","n":1,"tags":["x","tab\t"],"raw":{"b": [1, 2]}},null],"page":{"x":1.5,"other":{"a":[]}}}"#,
        r#"{"params": {"b" : 1, "a":null} ,"lists":{"k":[1,255]},"raw":"\u00e9","big":18446744073709551615}"#,
        r#"{"bytes":"YWJj","time":"12:34:56.789","items":[ ],"page":{ }}"#,
    ] {
        assert!(is_fast(&mut decoder, record), "{record}");
        assert!(is_fast(&mut decoder, record), "{record}");
    }
    for record in
        [r#"{"params":{"a":1,"a":2}}"#, r#"{"items":[{"n":"1"}]}"#, r#"{"items":[1"#, r#"{"page":{"x":1]}"#]
    {
        assert!(!is_fast(&mut decoder, record), "{record}");
    }
}

#[test]
fn a_nested_record_that_fails_half_way_leaves_no_trace() {
    let mut records = Vec::new();
    for n in 0..40 {
        let items = vec![format!(r#"{{"id":"i{n}","n":{n},"tags":["a","b"]}}"#); n % 5].join(",");
        let good =
            format!(r#"{{"items":[{items}],"params":{{"a":{n},"b":1}},"lists":{{"k":[{n}]}},"id":"{n}"}}"#);
        records.push(good.clone());
        let wrong = r#"{"items":[{"tags":["left","over"]},{"n":7}],"params":{"x":1,"y":"no"}}"#;
        records.push(wrong.to_owned());
        records.push(good[..good.len() - 3 - n % 20].to_owned());
        records.push(format!(
            r#"{{"items":[{{"n":1}}],"lists":{{"a":[1]}},"items":null,"lists":{{"b":[2,{n}]}}}}"#
        ));
    }
    check(&DecodePlan::all(nested_schema()), &[raw(&records), raw(&records[50..])]);
}
