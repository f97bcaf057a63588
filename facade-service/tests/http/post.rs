//! `POST /facade`.

use std::sync::Arc;

use oncelog::message::{IdSource, MessageId, Rejection};

use crate::support::{HELLO, Plan, TRIES_UNTIL_SURE, World, logging::Appends, until};

/// 1, 2, 3: ids that a test knows beforehand.
#[derive(Default)]
struct CountedIds(std::sync::atomic::AtomicU64);

impl IdSource for CountedIds {
    fn next_id(&self) -> MessageId {
        let next = 1 + self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        MessageId::try_from(u128::from(next).to_be_bytes()).unwrap()
    }
}

#[tokio::test]
async fn a_message_is_stored_and_its_receipt_is_exact() {
    let world = Plan { ids: Arc::new(CountedIds::default()), ..Plan::default() }.start().await;
    let response = world.post("", HELLO).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("idempotency-replayed"), None);
    assert_eq!(
        response.text(),
        r#"{"status":"success","uuid":"00000000-0000-0000-0000-000000000001","sequence":1}"#
    );
    let records = world.logging.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].message.stream.as_str(), "facade");
    assert_eq!(records[0].message.content_type.as_str(), "text/plain; charset=utf-8");
    assert_eq!(records[0].message.body, "hello");
}

#[tokio::test]
async fn a_message_with_a_used_key_is_answered_the_same_and_marked() {
    let world = World::start().await;
    let first = world.post("idempotency-key: \"order-7\"", HELLO).await;
    for key in ["order-7", "\"order-7\"", first.json()["uuid"].as_str().unwrap()] {
        let again = world.post(&format!("idempotency-key: {key}"), HELLO).await;
        assert_eq!(again.status, 200);
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    assert_eq!(world.logging.texts(), ["hello"]);
}

#[tokio::test]
async fn a_used_key_with_another_message_is_refused_and_shows_nothing() {
    let world = World::start().await;
    let first = world.post("idempotency-key: k", r#"{"msg":"secret"}"#).await;
    let other = world.post("idempotency-key: k", r#"{"msg":"other"}"#).await;
    other.failure(422, Some("no"));
    assert_eq!(other.json()["uuid"], first.json()["uuid"]);
    assert!(!other.text().contains("secret"));
    assert_eq!(world.logging.texts(), ["secret"]);
}

#[tokio::test]
async fn a_refused_request_does_not_use_up_its_key() {
    let world = World::start().await;
    let key = "idempotency-key: k";
    world.post(key, r#"{"msg":""}"#).await.failure(400, Some("no"));
    world.post(key, r#"{"mgs":"hello"}"#).await.failure(400, Some("no"));
    world.post(key, "{").await.failure(400, Some("no"));
    assert_eq!(world.post(key, HELLO).await.status, 200);
}

#[tokio::test]
async fn two_posts_at_once_with_the_same_key_store_one_message() {
    let world = World::start().await;
    world.logging.on_append(Appends::Stall);
    let post = || world.post("idempotency-key: k", HELLO);
    let release = async {
        until("one is under way", async || world.logging.waiting() > 0).await;
        world.logging.on_append(Appends::Store);
    };
    let (one, two, ()) = tokio::join!(post(), post(), release);
    assert_eq!((one.status, two.status), (200, 200));
    assert_eq!(one.body, two.body);
    assert_eq!(world.logging.texts(), ["hello"]);
}

#[tokio::test]
async fn a_refusal_names_the_typo_and_its_place() {
    let world = World::start().await;
    let typo = world.post("", "{\n \"msgs\":\"a\"}").await.failure(400, Some("no"));
    assert!(typo.contains("`msgs`") && typo.contains("line 2 column 7"), "{typo}");
    assert_eq!(world.logging.records().len(), 0);
}

#[tokio::test]
async fn a_wrong_key_is_refused() {
    let world = World::start().await;
    for key in [
        "idempotency-key:",
        "idempotency-key: \"open",
        "idempotency-key: \"a\";p=1",
        "idempotency-key: two words",
        "idempotency-key: é",
        "idempotency-key: 00000000-0000-0000-0000-000000000000",
        "idempotency-key: a\nidempotency-key: a",
        &format!("idempotency-key: {}", "k".repeat(256)),
    ] {
        world.post(key, HELLO).await.failure(400, Some("no"));
    }
    assert_eq!(world.logging.records().len(), 0);
}

#[tokio::test]
async fn a_body_may_have_one_mebibyte_and_no_more() {
    let world = World::start().await;
    let json = |bytes: usize| format!(r#"{{"msg":"{}"}}"#, "x".repeat(bytes - 10));
    let max = 1024 * 1024;
    assert_eq!(world.post("", json(max)).await.status, 200);
    assert_eq!(world.logging.records()[0].message.body.len(), max - 10);
    world.post("", json(max + 1)).await.failure(413, Some("no"));
    assert_eq!(world.logging.records().len(), 1);
}

#[tokio::test]
async fn a_huge_body_is_refused_before_it_arrives() {
    let world = World::start().await;
    let mut client = world.begin_post("content-length: 1073741824").await;
    client.response().await.failure(413, Some("no"));
}

#[tokio::test]
async fn a_client_that_sends_a_whole_refused_body_gets_its_answer() {
    let world = World::start().await;
    world.post("", vec![b' '; 32 * 1024 * 1024]).await.failure(413, Some("no"));
}

#[tokio::test]
async fn an_endless_chunked_body_is_refused_once_it_is_too_large() {
    let world = World::start().await;
    let mut client = world.begin_post("transfer-encoding: chunked").await;
    for _ in 0..33 {
        client.chunk(vec![b' '; 32 * 1024]).await;
    }
    client.response().await.failure(413, Some("no"));
    client.closed().await;
}

#[tokio::test]
async fn a_chunked_body_is_a_body() {
    let world = World::start().await;
    let mut client = world.begin_post("transfer-encoding: chunked").await;
    for piece in ["{\"ms", "g\":\"", "hel", "lo\"}", ""] {
        client.chunk(piece).await;
    }
    assert_eq!(client.response().await.status, 200);
    assert_eq!(world.logging.texts(), ["hello"]);
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_is_surely_not_stored() {
    let world = Plan { logging_down: true, ..Plan::short_timeouts() }.start().await;
    let mut response = world.post("", HELLO).await;
    for _ in 1..TRIES_UNTIL_SURE {
        if response.status == 503 {
            break;
        }
        response.failure(504, Some("unknown"));
        response = world.post("", HELLO).await;
    }
    response.failure(503, Some("no"));
    assert_eq!(response.header("retry-after"), Some("1"));
    assert!(response.json()["uuid"].is_string());

    let world = Plan::short_timeouts().start().await;
    world.logging.on_append(Appends::Reject(Rejection::ReadOnly("the disk is full".to_owned())));
    let response = world.post("", HELLO).await;
    let message = response.failure(503, Some("no"));
    assert!(message.contains("disk is full"), "{message}");
    assert!(response.json()["uuid"].is_string());
}

#[tokio::test]
async fn a_message_the_log_refuses_for_good_is_refused_for_good() {
    let world = World::start().await;
    world.logging.on_append(Appends::Reject(Rejection::Invalid("too odd".to_owned())));
    let message = world.post("", HELLO).await.failure(400, Some("no"));
    assert!(message.contains("too odd"), "{message}");
}

#[tokio::test]
async fn a_message_of_unknown_outcome_can_be_repeated_with_its_uuid() {
    let world = Plan::short_timeouts().start().await;
    world.logging.on_append(Appends::Stall);
    let lost = world.post("", HELLO).await;
    let message = lost.failure(504, Some("unknown"));
    assert!(message.contains("uuid as Idempotency-Key"), "{message}");

    world.logging.on_append(Appends::Store);
    let uuid = lost.json()["uuid"].as_str().unwrap().to_owned();
    let repeated = world.post(&format!("idempotency-key: {uuid}"), HELLO).await;
    assert_eq!(repeated.status, 200);
    assert_eq!(repeated.json()["uuid"], uuid);
    assert_eq!(world.logging.texts(), ["hello"]);
}

#[tokio::test]
async fn what_is_not_there_is_a_failure_in_json_too() {
    let world = World::start().await;
    world.get("/", "").await.failure(404, None);
    world.get("/facade/a/b", "").await.failure(404, None);
    for (request, allow) in [
        ("DELETE /facade", "GET,HEAD,POST"),
        ("PUT /facade", "GET,HEAD,POST"),
        ("GET /facade/batch", "POST"),
        ("POST /healthz", "GET,HEAD"),
    ] {
        let response = world.request(request, "").await;
        response.failure(405, None);
        let mut allowed: Vec<_> = response.header("allow").unwrap().split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), allow, "{request}");
    }
}
