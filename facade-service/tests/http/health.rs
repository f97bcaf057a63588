//! `GET /healthz` and `GET /readyz`.

use http_body_util::BodyExt as _;
use oncelog::wire::v1::State;
use tower::ServiceExt as _;

use crate::support::{Plan, World, messages::Messages};

#[tokio::test]
async fn a_facade_that_can_store_is_ready_and_says_what_it_found() {
    let world = World::start().await;
    world.logging.status().last_sequence = 7;
    assert_eq!(world.get("/healthz", "").await.status, 200);
    let ready = world.get("/readyz", "").await;
    assert_eq!(ready.status, 200);
    assert_eq!(
        ready.text(),
        r#"{"status":"ready","reasons":[],"logging":{"state":"ready","store":"fake","durable":false,"last_sequence":7},"messages":{"state":"ready"}}"#
    );
}

#[tokio::test]
async fn a_log_that_takes_no_messages_makes_the_facade_not_ready() {
    let world = World::start().await;
    for (state, name) in [
        (State::Replaying, "replaying"),
        (State::ReadOnly, "read-only"),
        (State::Draining, "draining"),
        (State::Failed, "failed"),
        (State::Orphaned, "orphaned"),
        (State::Damaged, "damaged"),
    ] {
        {
            let mut status = world.logging.status();
            status.set_state(state);
            status.reason = "because of the test".to_owned();
        }
        let response = world.get("/readyz", "").await;
        assert_eq!(response.status, 503, "{name}");
        let ready = response.json();
        assert_eq!(ready["logging"]["state"], name);
        let reason = ready["reasons"][0].as_str().unwrap();
        assert!(reason.contains(name) && reason.contains("because of the test"), "{reason}");
    }
    assert_eq!(world.get("/healthz", "").await.status, 200);
}

#[tokio::test]
async fn an_unreachable_log_makes_the_facade_not_ready() {
    let world = Plan { logging_down: true, ..Plan::default() }.start().await;
    let response = world.get("/readyz", "").await;
    assert_eq!(response.status, 503);
    assert_eq!(response.json()["logging"]["state"], "unreachable");
    assert_eq!(world.get("/healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_facade_that_drains_is_not_ready() {
    let world = World::start().await;
    let router = facade_service::router(world.facade.clone());
    world.stop.cancel();
    let request =
        http::Request::get("/readyz").header("host", "a").body(axum::body::Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("draining"), "{body:?}");
}

#[tokio::test]
async fn the_messages_service_is_reported_and_does_not_decide() {
    let world = Plan { messages_down: true, ..Plan::default() }.start().await;
    let response = world.get("/readyz", "").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.json()["messages"]["state"], "unreachable");

    let world = World::start().await;
    for messages in [Messages::Fail, Messages::Stall] {
        world.messages.set(messages);
        let response = world.get("/readyz", "").await;
        assert_eq!(response.status, 200);
        assert!(response.json()["messages"]["reason"].is_string());
    }
}
