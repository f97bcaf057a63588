//! `GET /facade/{uuid}`.

use serde_json::json;

use crate::support::{Plan, World};

#[tokio::test]
async fn a_record_is_shown_with_its_receipt() {
    let world = World::start().await;
    let uuid = world.post("", r#"{"msg":"hé\"llo"}"#).await.json()["uuid"].clone();
    let uuid = uuid.as_str().unwrap();
    let expected = json!({
        "status": "success", "uuid": uuid, "sequence": 1, "stream": "facade",
        "stored_at": "2023-11-14T22:13:20.250000000Z", "msg": "hé\"llo",
    });
    for spelling in [uuid.to_owned(), uuid.to_uppercase(), uuid.replace('-', "")] {
        let response = world.get(&format!("/facade/{spelling}"), "").await;
        assert_eq!((response.status, response.json()), (200, expected.clone()));
    }
}

#[tokio::test]
async fn a_record_that_is_no_text_is_shown_in_base64() {
    let world = World::start().await;
    let id = world.logging.store("orders", b"\xff\x00");
    let record = world.get(&format!("/facade/{id}"), "").await.json();
    assert_eq!(record["msg_base64"], "/wA=");
    assert_eq!(record["stream"], "orders");
    assert!(record.get("msg").is_none());
}

#[tokio::test]
async fn an_unknown_uuid_is_not_found_and_a_wrong_one_is_refused() {
    let world = World::start().await;
    let missing = "0199c0de-0000-7000-8000-00000000abcd";
    let response = world.get(&format!("/facade/{missing}"), "").await;
    let message = response.failure(404, None);
    assert!(message.contains("Idempotency-Key"), "{message}");
    assert_eq!(response.json()["uuid"], missing);
    for wrong in ["hello", "00000000-0000-0000-0000-000000000000", "%ff", "0199c0de"] {
        let message = world.get(&format!("/facade/{wrong}"), "").await.failure(400, None);
        assert!(message.contains(wrong), "{message}");
    }
}

#[tokio::test]
async fn without_the_logging_service_nothing_is_said_about_a_record() {
    let world = Plan { logging_down: true, ..Plan::default() }.start().await;
    let response = world.get("/facade/0199c0de-0000-7000-8000-00000000abcd", "").await;
    let message = response.failure(503, None);
    assert!(message.contains("logging-service"), "{message}");
    assert_eq!(response.header("retry-after"), Some("1"));
}
