//! What an analyst reads when a statement is wrong.

use std::fs;

use plamatio_queries::{Error, Format};

use crate::support::{START, TestLake, run, top_products};

async fn lake() -> TestLake {
    let lake = TestLake::with_conversion().await;
    lake.append("top_products", top_products(&[(START, 1, "views", 1, 1, 1, 1)])).await;
    fs::write(lake.path().join("orders.jsonl"), "{\"orderId\":\"a\"}\n").unwrap();
    lake
}

#[tokio::test]
async fn errors_name_the_place_and_what_would_work() {
    let lake = lake().await;
    let cases = [
        ("unknown_table", "SELECT sessions\nFROM conversions\nWHERE sessions > 0"),
        ("unknown_table_part", "SELECT * FROM products"),
        ("unknown_schema", "SELECT * FROM raw.conversion"),
        ("unknown_column", "SELECT window_start, session FROM conversion"),
        (
            "unknown_column_of_alias",
            "SELECT c.sesions FROM conversion AS c JOIN top_products AS t USING (window_start)",
        ),
        ("capital_column", "SELECT orderId FROM orders"),
        ("unknown_function", "SELECT date_trun('day', window_start) FROM conversion"),
        (
            "ambiguous",
            "SELECT window_end FROM conversion c JOIN top_products t ON c.window_start = t.window_start",
        ),
        ("misspelled_statement", "SELCT 1"),
        ("misspelled_keyword", "SELECT sessions FORM conversion WHER x"),
        ("parser", "SELECT sessions FROM conversion GROUP sessions"),
        ("missing_parenthesis", "SELECT SUM(sessions FROM conversion"),
        ("not_grouped", "SELECT window_start, SUM(sessions) FROM conversion"),
        ("second_statement", "SELECT 1;\n\n  SELECT 'é', nope FROM conversion; SELECT 2"),
        ("open_quote", "SELECT 'abc"),
        ("types", "SELECT sessions + true FROM conversion"),
        ("bad_cast", "SELECT CAST('x' AS BIGINT)"),
        ("division", "SELECT sessions / 0 FROM conversion"),
        ("tab", "SELECT\n\tnope\nFROM conversion"),
        ("bad_setting", "SET datafusion.catalog.location = 'x'"),
    ];
    for (name, sql) in cases {
        let error = run(&lake.session(), sql, Format::Csv).await.unwrap_err();
        assert!(matches!(error, Error::Statement(_)), "{name}: {error}");
        assert!(error.is_user_error(), "{name}: {error}");
        let mut settings = insta::Settings::clone_current();
        settings.set_description(sql);
        settings.bind(|| insta::assert_snapshot!(name, error.to_string()));
    }
}

#[tokio::test]
async fn a_script_stops_at_its_first_error() {
    let lake = lake().await;
    let mut out = Vec::new();
    let options = plamatio_queries::Options { format: Format::Csv, ..Default::default() };
    let script = "SELECT 1 AS a; SELECT nope; SELECT 3 AS c";
    lake.session().run(script, &options, &mut out).await.unwrap_err();
    assert_eq!(String::from_utf8(out).unwrap(), "a\n1\n");
}

#[tokio::test]
async fn a_single_query_takes_one_statement() {
    let lake = lake().await;
    let text = match lake.session().query("SELECT 1; SELECT 2").await {
        Ok(_) => panic!("two statements were taken"),
        Err(error) => error.to_string(),
    };
    assert!(text.starts_with("expected one statement, found 2"), "{text}");
    assert!(lake.session().query("-- nothing").await.is_err());
    assert!(lake.session().query("SELECT 1;").await.is_ok());
}
