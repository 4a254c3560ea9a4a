//! The catalogue.

use serde_json::Value;

use crate::support::app::TestApp;

fn ids(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn the_seed_is_listed_page_by_page() {
    let app = TestApp::new().await;
    let (mut seen, mut path, mut pages) = (Vec::new(), "/v1/products?limit=7".to_owned(), 0);
    loop {
        let page = app.get(&path).await.json();
        seen.extend(ids(&page));
        pages += 1;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/products?limit=7&cursor={cursor}");
    }
    assert_eq!((seen, pages), ((1..=24).collect::<Vec<_>>(), 4));

    let exactly_all = app.get("/v1/products?limit=24").await.json();
    assert!(exactly_all["next_cursor"].is_null(), "no page after the last");
    let category = app.get("/v1/products?category_id=3").await.json();
    assert_eq!(ids(&category), [9, 10, 11, 12]);
}

#[tokio::test]
async fn one_product_and_what_is_hidden() {
    let app = TestApp::new().await;
    let product = app.get("/v1/products/1").await.json();
    assert_eq!(product["name"], "Tidewater mug");
    assert_eq!((&product["price_minor"], &product["currency"]), (&Value::from(1490), &Value::from("EUR")));
    assert_eq!(product["category"], "Kitchen");

    app.db().run("UPDATE products SET active = false WHERE id = 1").await;
    app.get("/v1/products/1").await.problem(404, "not-found");
    assert_eq!(ids(&app.get("/v1/products?limit=2").await.json()), [2, 3]);
    app.get("/v1/products/999999").await.problem(404, "not-found");
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let app = TestApp::new().await;
    for path in ["/v1/products?limit=0", "/v1/products?limit=201", "/v1/products?limit=-1"] {
        assert_eq!(app.get(path).await.problem(422, "invalid-request")["errors"][0]["field"], "limit");
    }
    for path in ["/v1/products?cursor=", "/v1/products?cursor=p-1", "/v1/products?cursor=17"] {
        assert_eq!(app.get(path).await.problem(422, "invalid-request")["errors"][0]["field"], "cursor");
    }
    for path in ["/v1/products?limit=many", "/v1/products?lmit=3", "/v1/products/abc", "/v1/products/1.5"] {
        app.get(path).await.problem(400, "bad-request");
    }
}

#[tokio::test]
async fn the_sequences_stand_behind_the_seed() {
    let app = TestApp::new().await;
    app.db()
        .run("INSERT INTO products (category_id, name, price_minor, currency, stock) VALUES (1, 'x', 1, 'EUR', 1)")
        .await;
    assert_eq!(app.db().count("SELECT max(id) FROM products").await, 25);
}

#[tokio::test]
async fn migrations_run_twice_without_harm() {
    let app = TestApp::new().await;
    api::MIGRATOR.run(&app.db().pool).await.unwrap();
    assert_eq!(app.db().count("SELECT count(*) FROM products").await, 24);
}
