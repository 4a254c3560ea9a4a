//! Finding tables, and lakes that are empty, damaged or not there.

use std::fs;
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use plamatio_queries::{Format, Lake, Session, TableKind};

use crate::support::{START, TestLake, conversion, run};

#[tokio::test]
async fn every_kind_of_table_is_found() {
    let lake = TestLake::with_conversion().await;
    lake.append("staging/Top Products", conversion(&[(START, 1, 1)])).await;
    write_parquet(&lake, "plain/part-0.parquet");
    write_parquet(&lake, "history/daily/day=2026-01-05/part-0.parquet");
    fs::create_dir_all(lake.path().join("raw")).unwrap();
    fs::write(lake.path().join("raw/web-events.jsonl"), "{\"a\":1}\n").unwrap();
    fs::write(lake.path().join("orders.ndjson"), "{\"a\":1}\n").unwrap();
    fs::create_dir_all(lake.path().join("_tmp/x/_delta_log")).unwrap();
    fs::write(lake.path().join("notes.txt"), "x").unwrap();

    let tables = lake.open().tables().await.unwrap();
    let found: Vec<_> = tables.iter().map(|table| (table.sql_name(), table.kind)).collect();
    let expected = [
        ("history.daily", TableKind::Parquet),
        ("conversion", TableKind::Delta),
        ("orders", TableKind::JsonLines),
        ("plain", TableKind::Parquet),
        ("raw.web_events", TableKind::JsonLines),
        ("staging.top_products", TableKind::Delta),
    ];
    assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind)));

    for (table, rows) in [
        ("history.daily", 2),
        ("conversion", 2),
        ("orders", 1),
        ("plain", 2),
        ("raw.web_events", 1),
        ("staging.top_products", 1),
    ] {
        let counted = lake.csv(&format!("SELECT COUNT(*) AS n FROM {table}")).await;
        assert_eq!(counted, format!("n\n{rows}\n"), "{table}");
    }
    assert_eq!(lake.csv("SELECT DISTINCT day FROM history.daily").await, "day\n2026-01-05\n");
}

#[tokio::test]
async fn names_that_fall_together_are_numbered() {
    let lake = TestLake::new();
    for (file, value) in [("a-b.jsonl", 1), ("a_b.jsonl", 2), ("A b.jsonl", 3)] {
        fs::write(lake.path().join(file), format!("{{\"v\":{value}}}\n")).unwrap();
    }
    let csv = lake
        .csv("SELECT (SELECT v FROM a_b) AS x, (SELECT v FROM a_b_2) AS y, (SELECT v FROM a_b_3) AS z")
        .await;
    assert_eq!(csv, "x,y,z\n3,1,2\n");
}

#[tokio::test]
async fn a_table_can_be_the_lake() {
    let lake = TestLake::with_conversion().await;
    let path = lake.path().join("conversion");
    let session = Session::new(Lake::open(path.to_str().unwrap()).unwrap());
    assert_eq!(
        run(&session, "SELECT SUM(sessions) AS n FROM conversion", Format::Csv).await.unwrap(),
        "n\n150\n"
    );
}

#[tokio::test]
async fn file_urls_and_odd_folder_names_work() {
    let parent = TestLake::new();
    let odd = parent.path().join("la ké %20#1");
    fs::create_dir_all(odd.join("sub dir")).unwrap();
    fs::write(odd.join("sub dir/e 1.jsonl"), "{\"v\":7}\n").unwrap();
    let url = url::Url::from_directory_path(odd.canonicalize().unwrap()).unwrap();
    for address in [url.as_str(), odd.to_str().unwrap()] {
        let session = Session::new(Lake::open(address).unwrap());
        assert_eq!(
            run(&session, "SELECT v FROM sub_dir.e_1", Format::Csv).await.unwrap(),
            "v\n7\n",
            "{address}"
        );
    }
}

#[tokio::test]
async fn an_empty_lake_says_so() {
    let lake = TestLake::new();
    assert!(lake.open().tables().await.unwrap().is_empty());
    assert_eq!(lake.csv("SELECT 1 AS one").await, "one\n1\n");
    insta::assert_snapshot!(lake.error("SELECT * FROM conversion").await);
}

#[tokio::test]
async fn a_missing_lake_is_named() {
    let lake = TestLake::new();
    fs::write(lake.path().join("file"), "x").unwrap();
    let error = |name: &str| {
        let path = lake.path().join(name);
        lake.without_path(&Lake::open(path.to_str().unwrap()).unwrap_err().to_string())
    };
    let missing = error("nowhere");
    assert!(missing.contains("no such folder"), "{missing}");
    assert!(!lake.path().join("nowhere").exists(), "opening must not create it");
    assert!(error("file").contains("it is a file"));
    let scheme = Lake::open("s4://bucket/lake").unwrap_err().to_string();
    assert!(scheme.contains("\"s4\" is not supported"), "{scheme}");
    assert!(Lake::open("").unwrap_err().to_string().contains("empty"));
}

#[tokio::test]
async fn a_damaged_table_is_named_and_the_others_work() {
    let lake = TestLake::with_conversion().await;
    let log = |table: &str| lake.path().join(table).join("_delta_log");
    lake.append("broken", conversion(&[(START, 1, 1)])).await;
    fs::write(log("broken").join("00000000000000000000.json"), "{\"metaData\": {oops\n").unwrap();
    fs::create_dir_all(log("unborn")).unwrap();
    fs::create_dir_all(lake.path().join("torn")).unwrap();
    fs::write(lake.path().join("torn/part-0.parquet"), "PAR1 but not really").unwrap();

    assert_eq!(lake.csv("SELECT SUM(sessions) AS n FROM conversion").await, "n\n150\n");
    insta::assert_snapshot!("damaged", lake.error("SELECT *\nFROM broken").await);
    insta::assert_snapshot!("unborn", lake.error("SELECT * FROM unborn").await);
    insta::assert_snapshot!("torn", lake.error("SELECT * FROM torn").await);

    let tables = lake
        .csv("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1")
        .await;
    assert_eq!(tables, "table_name\nbroken\nconversion\ntorn\nunborn\n");
    let columns = lake
        .csv("SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'public'")
        .await;
    assert_eq!(columns, "table_name\nconversion\n", "readable tables keep their columns");
}

#[tokio::test]
async fn the_catalogue_can_be_asked() {
    let lake = TestLake::with_conversion().await;
    fs::create_dir_all(lake.path().join("raw")).unwrap();
    fs::write(lake.path().join("raw/events.jsonl"), "{\"time\":\"2026-01-05T00:00:00.000Z\"}\n").unwrap();
    let shown = run(&lake.session(), "SHOW TABLES", Format::Csv).await.unwrap();
    assert!(shown.contains("lake,public,conversion,BASE TABLE\n"), "{shown}");
    assert!(shown.contains("lake,raw,events,BASE TABLE\n"), "{shown}");
    insta::assert_snapshot!(lake.csv("DESCRIBE conversion").await);
    let columns = lake.csv("SHOW COLUMNS FROM raw.events").await;
    assert!(columns.contains("time,"), "{columns}");
    let functions = lake.csv("SELECT COUNT(*) > 50 AS many FROM information_schema.routines").await;
    assert_eq!(functions, "many\ntrue\n");
    let setting = lake.csv("SHOW datafusion.execution.time_zone").await;
    assert!(setting.contains("datafusion.execution.time_zone"), "{setting}");
}

#[tokio::test]
async fn functions_can_be_added() {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};

    let lake = TestLake::new();
    let session = Session::with(lake.open(), |context| {
        let same = Arc::new(|arguments: &[ColumnarValue]| Ok(arguments[0].clone()));
        context.register_udf(create_udf(
            "same",
            vec![DataType::Int64],
            DataType::Int64,
            Volatility::Immutable,
            same,
        ));
    });
    assert_eq!(run(&session, "SELECT same(7) AS n", Format::Csv).await.unwrap(), "n\n7\n");
}

fn write_parquet(lake: &TestLake, path: &str) {
    let path = lake.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = conversion(&[(START, 1, 0), (START, 2, 0)]);
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
