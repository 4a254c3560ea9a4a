//! Health, metrics and the page.

use api::ApiConfig;
use axum::http::StatusCode;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;

use crate::support::app::{TestApp, builder};

#[tokio::test]
async fn readiness_lists_the_parts() {
    let app = TestApp::without_database(ApiConfig::default());
    let ready = app.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::OK);
    let parts = json!({ "postgres": "off", "kafka": "ok", "live": "ok" });
    assert_eq!(ready.json(), json!({ "status": "ok", "parts": parts }));
    app.events.set_down(true);
    let unready = app.get("/readyz").await;
    assert_eq!(
        (unready.status, &unready.json()["parts"]["kafka"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
    );

    let app = TestApp::new().await;
    let parts = json!({ "postgres": "ok", "kafka": "ok", "live": "ok" });
    assert_eq!(app.get("/readyz").await.json(), json!({ "status": "ok", "parts": parts }));
}

#[tokio::test]
async fn metrics_count_by_route_template() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let app = TestApp::without_database(ApiConfig::default());
    app.get("/metrics").await.problem(404, "not-found");
    let state = builder(app.events.clone(), &app.shop).metrics(recorder.handle()).build();
    let app = TestApp { router: api::router(state), ..app };
    // The recorder is the thread's for this test only; the test runtime has one thread.
    let _guard = metrics::set_default_local_recorder(&recorder);
    app.get("/v1/products/1").await;
    app.get("/v1/products/2").await;
    app.get("/nowhere").await;
    let reply = app.get("/metrics").await;
    assert!(reply.header("content-type").starts_with("text/plain"));
    let text = reply.text();
    let line = r#"plamatio_http_requests_total{method="GET",route="/v1/products/{id}",status="503"} 2"#;
    assert!(text.contains(line), "{text}");
    assert!(text.contains(r#"route="unmatched",status="404"} 1"#), "{text}");
    assert!(text.contains("plamatio_http_request_duration_seconds"), "{text}");
}

#[tokio::test]
async fn the_page_is_complete_and_loads_nothing_from_elsewhere() {
    let app = TestApp::without_database(ApiConfig::default());
    let page = app.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    for (path, content_type) in [("/live.js", "text/javascript"), ("/style.css", "text/css")] {
        assert!(page.text().contains(path));
        let file = app.get(path).await;
        assert!(file.status == StatusCode::OK && file.header("content-type").starts_with(content_type));
        assert!(!file.body.is_empty());
    }
    for text in [page.text(), app.get("/live.js").await.text(), app.get("/style.css").await.text()] {
        let text = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http://") && !text.contains("https://"));
    }
}
