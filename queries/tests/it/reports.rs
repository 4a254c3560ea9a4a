//! The reports, over tables as the shipped metrics write them.

use plamatio_queries::{Error, Format, report, reports};

use crate::support::{
    HOUR, MINUTE, START, TestLake, cart_abandonment, conversion, dead_letters, run, top_products,
};

const DAY: i64 = 24 * HOUR;

async fn lake() -> TestLake {
    let lake = TestLake::new();
    lake.append(
        "conversion",
        conversion(&[(START, 100, 3), (START + 23 * HOUR, 50, 2), (START + DAY, 0, 0)]),
    )
    .await;
    lake.append(
        "cart_abandonment",
        cart_abandonment(&[(START, 10, 7, 4, 1), (START + HOUR, 10, 8, 0, 0), (START + DAY, 0, 0, 0, 0)]),
    )
    .await;
    // Hour windows every minute: only those that start on the hour may be added up.
    let sales: Vec<_> = (0..=120)
        .flat_map(|slide| {
            let start = START + slide * MINUTE;
            [
                (start, HOUR, "revenue", 1, 7, 2, 500),
                (start, HOUR, "revenue", 2, 8, 1, 100),
                (start, HOUR, "views", 1, 9, 0, 0),
            ]
        })
        .collect();
    lake.append("top_products", top_products(&sales)).await;
    lake.append(
        "dead_letters",
        dead_letters(&[
            ("cart-events", 41, "not JSON", START),
            ("cart-events", 40, "not JSON", START + HOUR),
            ("order-events", 3, "time is missing", START + DAY),
        ]),
    )
    .await;
    lake
}

#[tokio::test]
async fn each_report_runs() {
    let lake = lake().await;
    let session = lake.session();
    for report in reports() {
        let table = run(&session, &report.sql("UTC").unwrap(), Format::Table).await.unwrap();
        insta::assert_snapshot!(format!("report_{}", report.name), format!("{}\n\n{table}", report.title()));
    }
}

#[tokio::test]
async fn each_report_is_empty_over_empty_tables() {
    let lake = TestLake::new();
    lake.append("conversion", conversion(&[]).slice(0, 0)).await;
    lake.append("cart_abandonment", cart_abandonment(&[])).await;
    lake.append("top_products", top_products(&[])).await;
    lake.append("dead_letters", dead_letters(&[])).await;
    for report in reports() {
        let csv = lake.csv(&report.sql("UTC").unwrap()).await;
        if report.name != "conversion_funnel" {
            assert_eq!(csv.lines().count(), 1, "{}: {csv}", report.name);
        }
    }
}

#[tokio::test]
async fn days_are_cut_in_the_shops_zone() {
    let lake = TestLake::new();
    // One session per minute over the two weekends of 2026 on which Paris changes its clock.
    let spring = 1_774_656_000_000_000; // 2026-03-28T00:00:00Z
    let autumn = 1_792_800_000_000_000; // 2026-10-24T00:00:00Z
    for start in [spring, autumn] {
        let rows: Vec<_> = (0..4 * 24 * 60).map(|minute| (start + minute * MINUTE, 1, 0)).collect();
        lake.append("conversion", conversion(&rows)).await;
    }
    let sql = report("daily_conversion").unwrap().sql("Europe/Paris").unwrap();
    let csv = lake.csv(&sql).await;
    let minutes = |day: &str| -> i64 {
        let row = csv.lines().find(|line| line.starts_with(day)).unwrap_or_else(|| panic!("{day} in {csv}"));
        row.split(',').nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(minutes("2026-03-29T00:00:00+01:00"), 23 * 60);
    assert_eq!(minutes("2026-03-30T00:00:00+02:00"), 24 * 60);
    assert_eq!(minutes("2026-10-25T00:00:00+02:00"), 25 * 60);
    assert_eq!(minutes("2026-10-26T00:00:00+01:00"), 24 * 60);
}

#[tokio::test]
async fn dead_letters_of_several_jobs_are_told_apart() {
    let lake = TestLake::new();
    let report = report("dead_letters").unwrap();
    let missing = lake.error(&report.sql_over(&lake.open(), "UTC").await.unwrap()).await;
    assert!(missing.starts_with("table \"dead_letters\" does not exist"), "{missing}");
    // One table, then one per job below it.
    for (folder, records) in
        [("dead_letters", 1), ("dead_letters/conversion", 2), ("dead_letters/top_products", 3)]
    {
        let rows: Vec<_> = (0..records).map(|offset| ("cart-events", offset, "not JSON", START)).collect();
        lake.append(folder, dead_letters(&rows)).await;
    }
    let sql = report.sql_over(&lake.open(), "UTC").await.unwrap();
    let csv = lake
        .csv(&format!(
            "SELECT dead_letter_table, records FROM ({}) ORDER BY dead_letter_table",
            sql.trim_end().trim_end_matches(';')
        ))
        .await;
    let expected =
        "dead_letter_table,records\ndead_letters,1\ndead_letters.conversion,2\ndead_letters.top_products,3\n";
    assert_eq!(csv, expected);
}

#[tokio::test]
async fn reports_are_documented_and_their_zone_is_a_name() {
    for report in reports() {
        assert!(!report.title().is_empty() && report.title().len() < 110, "{}", report.name);
        let sql = report.sql("America/Argentina/Buenos_Aires").unwrap();
        assert!(sql.contains("-- Reads:") && sql.contains("-- Sums:"), "{}", report.name);
        assert!(!sql.contains("${"), "{}", report.name);
        for zone in ["", "UTC' OR '1'='1", "a b", "x\n"] {
            assert!(matches!(report.sql(zone), Err(Error::Zone { .. })), "{zone:?}");
        }
    }
    let unknown = report("daily").unwrap_err().to_string();
    assert!(unknown.contains("daily_conversion"), "{unknown}");
}
