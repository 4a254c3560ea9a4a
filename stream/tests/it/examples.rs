//! The scripts in `queries/examples`, each on the events beside it; the rows are worked out by hand.

use std::{collections::BTreeMap, fs, path::Path};

use insta::assert_snapshot;
use plamatio_stream::{planner, runtime::job::Job};

use crate::{
    collect::Collected,
    run::{block_on, connectors, options},
    text,
};

/// The final rows of each sink of an example.
fn example<const N: usize>(name: &str, sinks: [&str; N]) -> [String; N] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../queries/examples");
    let script = fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap();
    let input = folder.join(format!("{name}.jsonl"));
    let mut values = BTreeMap::new();
    values.insert("source".to_owned(), format!("'connector' = 'filesystem', 'path' = '{}'", input.display()));
    for variable in ["items", "sessions", "pages", "added", "products"] {
        values.insert(variable.to_owned(), "'connector' = 'collect', 'emit' = 'final'".to_owned());
    }
    values.retain(|variable, _| script.contains(&format!("${{{variable}:-")));
    let collected = Collected::default();
    let ledger = block_on(async {
        let connectors = connectors(&collected);
        let plan = planner::plan(&script, &values, &connectors).await?;
        Job::start(plan, &connectors, options(None)).await?.wait().await
    });
    let ledger = ledger.unwrap_or_else(|error| panic!("{error}"));
    assert!(ledger.is_balanced(), "{ledger:?}");
    let set_aside = ledger.sources.values().map(|source| source.dead_letter + source.late_dropped);
    assert_eq!(set_aside.sum::<u64>(), 0, "{ledger:?}");
    sinks.map(|sink| text::table(&collected.finals(sink), false))
}

#[test]
fn items_and_sessions_of_google_analytics() {
    let [items, sessions] = example("ga4", ["items_by_minute", "sessions_by_minute"]);
    assert_snapshot!(items, @r"
    window_start  item_id  item_name  pieces  revenue
    12:00:00      SKU_1    Mug        3       37.5
    12:00:00      SKU_2    T-shirt    1       20.0
    12:01:00      SKU_2    T-shirt    3       60.0
    ");
    assert_snapshot!(sessions, @r"
    window_start  sessions  visitors
    12:00:00      3         2
    12:01:00      2         2
    ");
}

#[test]
fn pages_and_campaigns_of_segment() {
    let [pages, added] = example("segment", ["pages_by_minute", "added_by_minute"]);
    assert_snapshot!(pages, @r"
    window_start  path   views  visitors
    12:00:00      /      3      2
    12:00:00      /mugs  1      1
    12:01:00      /      1      1
    ");
    assert_snapshot!(added, @r"
    window_start  campaign    pieces  amount
    12:00:00      newsletter  2       25.00
    12:00:00      none        1       20.00
    12:01:00      ads         1       20.00
    ");
}

#[test]
fn products_of_shopify() {
    let [products] = example("shopify", ["products"]);
    assert_snapshot!(products, @r"
    window_start  product    currency  orders  customers  pieces  revenue
    12:00:00      Gift wrap  EUR       1       1          1       2.00
    12:00:00      Mug        EUR       2       1          3       37.50
    12:00:00      T-shirt    EUR       2       2          3       59.97
    12:05:00      Mug        EUR       1       1          4       50.00
    ");
}
