//! An order through HTTP: into PostgreSQL, Kafka, Redis and the lake.

use std::path::Path;

use chrono::{TimeDelta, Utc};
use redis::Commands;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};

use crate::support::{
    block_on, broker, eventually,
    http::Client,
    lake, metric_script,
    process::{Running, plamatio, run, script_command},
    services, unique,
};

/// A product of the seed catalogue, and how many of it are ordered: more than anyone else buys.
const PRODUCT: i64 = 3;
const PIECES: i64 = 7;

/// A database of its own; dropped with it.
struct Database {
    name: String,
    url: String,
}

impl Database {
    fn create() -> Self {
        let name = unique("it_plamatio").replace('-', "_");
        let server = services::database_url();
        run_sql(server, &format!("CREATE DATABASE {name}"));
        let (base, _) = server.rsplit_once('/').unwrap();
        Database { url: format!("{base}/{name}"), name }
    }

    fn row(&self, sql: &str) -> sqlx::postgres::PgRow {
        block_on(async {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        run_sql(services::database_url(), &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn run_sql(url: &str, sql: &str) {
    block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    });
}

/// A metric over the shared topics from now on, with windows that close soon.
fn start_metric(metric: &str, folder: &Path, shop: &str) -> Running {
    let kafka = services::kafka();
    let source = format!(
        "'connector' = 'kafka', 'topic' = '{}', 'properties.bootstrap.servers' = '{}',
         'properties.group.id' = '{shop}-{metric}', 'scan.startup.mode' = 'group-offsets'",
        broker::TOPICS.join(";"),
        kafka.brokers
    );
    let lake = folder.join("lake");
    let mut values = vec![
        ("source", source.as_str()),
        ("redis", services::redis_url()),
        ("shop", shop),
        ("lake", lake.to_str().unwrap()),
        ("lateness", "1 s"),
        ("idle", "1 s"),
        ("delay", "1"),
    ];
    values.push(match metric {
        "conversion" => ("gap", "1"),
        "cart_abandonment" => ("timeout", "1"),
        _ => ("window", "1"),
    });
    let letters = lake.join("dead_letters").join(metric);
    let script = metric_script(metric);
    // Positions at the end of the topics are committed first: what is in them from before is not read, and
    // what comes while the job starts is.
    drop(broker::at_the_end(&kafka.brokers, &format!("{shop}-{metric}"), &broker::TOPICS));
    let mut command = script_command(folder, &script, letters, &values);
    command.arg("--state").arg(folder.join("state").join(metric));
    Running::start(command)
}

fn event(kind: &str, time: chrono::DateTime<Utc>, visitor: &str, more: &Value) -> Value {
    let mut event = json!({
        "type": kind, "time": time.to_rfc3339(), "anonymous_id": visitor, "session_id": visitor,
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

#[test]
fn an_order_reaches_postgres_kafka_redis_and_the_lake() {
    let _alone = services::shared_topics();
    let kafka = services::kafka();
    let folder = tempfile::tempdir().unwrap();
    let lake_folder = folder.path().join("lake");
    let shop = unique("it-order");
    let database = Database::create();
    let mut migrate = plamatio(folder.path(), &["migrate"]);
    migrate.env("DATABASE_URL", &database.url);
    assert!(run(migrate).ok().text().contains("up to date"));
    broker::create_topics(&kafka.brokers, &broker::TOPICS, 4);
    let consumer = broker::at_the_end(&kafka.brokers, &format!("{shop}-test"), &broker::TOPICS);

    let mut serve = plamatio(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    serve.args(["--database-url", &database.url, "--brokers", &kafka.brokers, "--shop", &shop]);
    serve.args(["--redis-url", services::redis_url()]);
    let mut serve = Running::start(serve);
    let address = serve.line("serving on http://");
    let metrics = ["conversion", "cart_abandonment", "top_products"];
    let mut jobs = metrics.map(|metric| start_metric(metric, folder.path(), &shop));

    // View, cart, checkout, order.
    let client = Client { address, visitor: unique("visitor") };
    let visitor = client.visitor.clone();
    let collect = |events: &[Value]| {
        let answer = client.expect(200, "POST", "/v1/events", Some(&json!(events)));
        assert_eq!(answer["accepted"], events.len(), "{answer}");
    };
    collect(&[event("view_item", Utc::now(), &visitor, &json!({ "product_id": PRODUCT }))]);
    let cart = client.expect(201, "POST", "/v1/carts", None)["id"].as_str().unwrap().to_owned();
    let item = json!({ "quantity": PIECES });
    client.expect(200, "PUT", &format!("/v1/carts/{cart}/items/{PRODUCT}"), Some(&item));
    collect(&[event("begin_checkout", Utc::now(), &visitor, &json!({ "cart_id": cart }))]);
    let order = client.expect(201, "POST", "/v1/orders", Some(&json!({ "cart_id": cart })));
    let (id, total) = (order["id"].as_str().unwrap(), order["total_minor"].as_i64().unwrap());
    assert!(total > 0, "{order}");
    assert_eq!(client.expect(200, "GET", &format!("/v1/orders/{id}"), None), order);

    // PostgreSQL.
    let row =
        database.row(&format!("SELECT CAST(total_minor AS BIGINT), status FROM orders WHERE id = '{id}'"));
    assert_eq!((row.get::<i64, _>(0), row.get::<&str, _>(1)), (total, "placed"));

    // Kafka: the order and its line, in this order.
    let of_order = |found: &[(String, Vec<u8>)]| -> Vec<Value> {
        let orders = found.iter().filter(|(topic, _)| topic == "order-events");
        let orders = orders.filter_map(|(_, payload)| serde_json::from_slice::<Value>(payload).ok());
        orders.filter(|event| event["order_id"] == id).collect()
    };
    let found = of_order(&broker::read_until(&consumer, |found| of_order(found).len() >= 2));
    let types: Vec<_> = found.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["purchase", "purchase_item"], "{found:?}");
    assert_eq!((&found[0]["value_minor"], &found[1]["quantity"]), (&json!(total), &json!(PIECES)));
    assert_eq!(found[0]["anonymous_id"], visitor.as_str());

    // Redis, provisional; the API shows the same.
    let mut redis = redis::Client::open(services::redis_url()).unwrap().get_connection().unwrap();
    let live = eventually("the order in the live value", || {
        jobs.iter_mut().for_each(Running::assert_runs);
        live_row(&mut redis, &shop)
    });
    assert_eq!(live["revenue_minor"], total, "{live}");
    let windows = client.expect(200, "GET", "/v1/live/top_products", None);
    assert!(windows.to_string().contains(&format!("\"units\":{PIECES}")), "{windows}");

    // The lake: later events move event time on, until the order's windows are closed in all three.
    let finals = "SELECT SUM(units) FROM top_products WHERE ranked_by = 'units' AND product_id = ".to_owned()
        + &PRODUCT.to_string();
    let purchased = "SELECT SUM(purchased) FROM cart_abandonment";
    let reached = "SELECT SUM(reached_purchase) FROM conversion";
    eventually("the order in the lake", || {
        jobs.iter_mut().for_each(Running::assert_runs);
        serve.assert_runs();
        let later = Utc::now() + TimeDelta::seconds(280);
        let passers: Vec<_> = (0..20)
            .map(|i| event("view_item", later, &format!("later-{i}"), &json!({ "product_id": PRODUCT + 1 })))
            .collect();
        collect(&passers);
        let ready = [finals.as_str(), purchased, reached]
            .iter()
            .all(|sql| lake::try_number(&lake_folder, sql).is_ok_and(|number| number > 0));
        ready.then_some(())
    });
    for job in jobs {
        let ledger = job.terminate().ok().json();
        assert_eq!(ledger["balanced"], true, "{ledger}");
    }
    serve.terminate().ok();
    assert_eq!(lake::number(&lake_folder, &finals), PIECES);
    let revenue = finals.replace("SUM(units)", "SUM(revenue_minor)");
    assert_eq!(lake::number(&lake_folder, &revenue), total);
    assert_eq!(lake::number(&lake_folder, purchased), 1);
    assert_eq!(lake::number(&lake_folder, reached), 1);
}

/// The order's product in one of the live windows of `top_products`.
fn live_row(redis: &mut redis::Connection, shop: &str) -> Option<Value> {
    let key = |rest: &str| format!("plm:{{{shop}}}:live:top_products:{rest}");
    let ends: Vec<i64> = redis.zrange(key("windows"), 0, -1).unwrap();
    ends.into_iter().find_map(|end| {
        let rows: Option<String> = redis.hget(key(&end.to_string()), "rows").unwrap();
        let rows: Vec<Value> = serde_json::from_str(&rows?).unwrap();
        let mut of_order =
            rows.into_iter().filter(|row| row["product_id"] == PRODUCT && row["units"] == PIECES);
        of_order.find(|row| row["ranked_by"] == "units")
    })
}
