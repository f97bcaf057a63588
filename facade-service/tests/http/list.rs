//! `GET /facade`.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::support::{Plan, World, logging::Reads, messages::Messages, until, within};

async fn world_with(texts: &[&str]) -> World {
    let world = World::start().await;
    for text in texts {
        world.logging.store("facade", text.as_bytes());
    }
    world
}

#[tokio::test]
async fn the_log_and_the_text_of_the_messages_service_are_one_json() {
    let world = world_with(&["msg1", "a\"b\n"]).await;
    world.logging.store("orders", b"not of this stream");
    let response = world.get("/facade", "").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("vary"), Some("accept"));
    assert_eq!(response.text(), r#"{"logs":["msg1","a\"b\n"],"message":"not implemented yet"}"#);
}

#[tokio::test]
async fn an_empty_log_is_a_log() {
    let world = World::start().await;
    let response = world.get("/facade", "").await;
    assert_eq!(response.text(), r#"{"logs":[],"message":"not implemented yet"}"#);
}

#[tokio::test]
async fn a_long_log_is_one_answer_in_order() {
    let world = World::start().await;
    let texts: Vec<_> = (1..=1234).map(|number| format!("msg{number}")).collect();
    for text in &texts {
        world.logging.store("facade", text.as_bytes());
    }
    let response = world.get("/facade", "").await;
    assert_eq!(response.json()["logs"], json!(texts));
}

#[tokio::test]
async fn pages_cover_the_log_without_gap_or_overlap() {
    let world = world_with(&["a", "b", "c", "d", "e"]).await;
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let page = world.get(&format!("/facade?after={after}&limit=2"), "").await.json();
        let logs = page["logs"].as_array().unwrap().clone();
        after = page["next_after"].as_u64().unwrap();
        if logs.is_empty() {
            break;
        }
        seen.extend(logs);
    }
    assert_eq!(json!(seen), json!(["a", "b", "c", "d", "e"]));
    assert_eq!(after, 5);
    let from_start = world.get("/facade?limit=1", "").await;
    assert_eq!(
        from_start.text(),
        r#"{"logs":["a"],"message":"not implemented yet","next_after":1}"#
    );
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_refused() {
    let world = World::start().await;
    for query in ["limit=0", "limit=x", "after=-1", "offset=3", "after=1&after=2"] {
        world.get(&format!("/facade?{query}"), "").await.failure(400, None);
    }
}

#[tokio::test]
async fn a_position_after_the_end_is_a_conflict_that_names_the_end() {
    let world = world_with(&["a", "b"]).await;
    for query in ["after=3", "after=5&limit=1", "after=18446744073709551615"] {
        for accept in ["*/*", "application/x-ndjson", "text/plain"] {
            let refused =
                world.get(&format!("/facade?{query}"), &format!("accept: {accept}")).await;
            let message = refused.failure(409, None);
            assert!(message.contains("ends at sequence 2"), "{message}");
            let json = refused.json();
            assert_eq!(
                (&json["code"], &json["last_sequence"]),
                (&json!("after_the_end"), &json!(2))
            );
            assert_eq!(json["stored"], json!(null), "nothing was sent");
        }
    }
    let at_the_end = world.get("/facade?after=2", "").await.json();
    assert_eq!((&at_the_end["logs"], &at_the_end["next_after"]), (&json!([]), &json!(2)));
    let empty = World::start().await;
    assert_eq!(empty.get("/facade?after=0", "").await.status, 200);
    assert_eq!(empty.get("/facade?after=1", "").await.json()["last_sequence"], json!(0));
}

#[tokio::test]
async fn ndjson_shows_one_record_a_line_without_the_messages_service() {
    let world = Plan { messages_down: true, ..Plan::default() }.start().await;
    world.logging.store("facade", b"one\ntwo");
    world.logging.store("facade", b"\xff");
    let response = world.get("/facade", "accept: application/x-ndjson").await;
    assert_eq!(response.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(
        response.lines(),
        [
            json!({"uuid": "00000000-0000-0000-0000-000000000001", "sequence": 1,
                   "stored_at": "2023-11-14T22:13:20.250000000Z", "msg": "one\ntwo"}),
            json!({"uuid": "00000000-0000-0000-0000-000000000002", "sequence": 2,
                   "stored_at": "2023-11-14T22:13:20.250000000Z", "msg_base64": "/w=="}),
        ]
    );
}

#[tokio::test]
async fn plain_text_ends_with_the_text_of_the_messages_service() {
    let world = world_with(&["msg1", "msg2"]).await;
    let response = world.get("/facade", "accept: text/plain").await;
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(response.text(), "msg1\nmsg2\nnot implemented yet\n");
}

#[tokio::test]
async fn a_form_that_cannot_be_had_is_refused() {
    let world = World::start().await;
    world.get("/facade", "accept: text/html").await.failure(406, None);
    assert_eq!(world.get("/facade", "accept: text/html, */*;q=0.1").await.status, 200);
}

#[tokio::test]
async fn a_service_that_is_down_is_named() {
    let world = Plan { logging_down: true, ..Plan::default() }.start().await;
    let message = world.get("/facade", "").await.failure(503, None);
    assert!(message.contains("logging-service"), "{message}");

    let world = Plan { messages_down: true, ..Plan::default() }.start().await;
    let message = world.get("/facade", "").await.failure(503, None);
    assert!(message.contains("messages-service") && message.contains("x-ndjson"), "{message}");
}

#[tokio::test]
async fn a_service_that_does_not_answer_in_time_is_named() {
    let world = Plan::short_timeouts().start().await;
    world.messages.set(Messages::Stall);
    let message = world.get("/facade", "").await.failure(503, None);
    assert!(message.contains("messages-service"), "{message}");
    world.messages.set(Messages::Answer);
    for reads in [Reads::Stall(0), Reads::Fail(0)] {
        world.logging.on_read(reads);
        let message = world.get("/facade", "").await.failure(503, None);
        assert!(message.contains("logging-service"), "{message}");
    }
}

#[tokio::test]
async fn a_log_that_breaks_off_breaks_the_answer() {
    let mut plan = Plan::short_timeouts();
    plan.limits.reads.page_bytes = 1;
    let world = plan.start().await;
    world.logging.store_many(100, b"some text");
    for reads in [Reads::Fail(2), Reads::Stall(2)] {
        world.logging.on_read(reads);
        for accept in ["*/*", "application/x-ndjson", "text/plain"] {
            let mut client = world.send(&format!("GET /facade\naccept: {accept}"), "").await;
            let broken = within(client.try_response()).await;
            assert!(broken.is_err(), "{accept}: a cut answer looks whole: {broken:?}");
        }
    }
}

#[tokio::test]
async fn a_page_that_breaks_off_is_refused_as_a_whole() {
    let world = Plan::short_timeouts().start().await;
    world.logging.store_many(100, b"some text");
    for reads in [Reads::Fail(2), Reads::Stall(2)] {
        world.logging.on_read(reads);
        let message = world.get("/facade", "").await.failure(503, None);
        assert!(message.contains("logging-service"), "{message}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_others_served() {
    let world = Plan::limits(|limits| limits.response_stall = Duration::from_millis(200));
    let world = world.start().await;
    world.logging.store_many(100, &vec![b'x'; 256 * 1024]);
    let mut silent = world.send("GET /facade", "").await;
    assert_eq!(silent.response_head().await.unwrap().status, 200);
    // The facade has closed once all that was buffered is read and the end is not there.
    until("the connection is cut", async || {
        let sent = silent.stream.try_write(b"G");
        sent.is_err()
    })
    .await;
    let mut rest = Vec::new();
    let _ = within(silent.stream.read_to_end(&mut rest)).await;
    assert!(rest.len() < 25 * 1024 * 1024, "everything was sent");
}

#[tokio::test]
async fn many_clients_that_do_not_read_do_not_hold_up_others() {
    let world = World::start().await;
    world.logging.store_many(100, &vec![b'x'; 256 * 1024]);
    let mut silent = Vec::new();
    for _ in 0..30 {
        let mut client = world.send("GET /facade", "").await;
        assert_eq!(within(client.response_head()).await.unwrap().status, 200);
        silent.push(client);
    }
    assert_eq!(world.post("", r#"{"msg":"hello"}"#).await.status, 200);
    let page = world.get("/facade?after=100", "").await;
    assert_eq!(page.json()["logs"], json!(["hello"]));
}

#[tokio::test]
async fn a_broken_answer_ends_in_a_reset_where_only_the_end_ends_it() {
    let mut plan = Plan::default();
    plan.limits.reads.page_bytes = 1;
    let world = plan.start().await;
    world.logging.store_many(100, b"some text");
    for (reads, whole) in [(Reads::Serve, true), (Reads::Fail(2), false)] {
        world.logging.on_read(reads);
        let mut old = world.connect().await;
        old.send("GET /facade HTTP/1.0\r\naccept: application/x-ndjson\r\n\r\n").await;
        let mut answer = Vec::new();
        let ended = within(old.stream.read_to_end(&mut answer)).await;
        assert_eq!(ended.is_ok(), whole, "{ended:?} after {} bytes", answer.len());
    }
}

#[tokio::test]
async fn the_head_of_the_log_can_be_asked_for() {
    let world = world_with(&["a"]).await;
    let mut client = world.send("HEAD /facade", "").await;
    let head = client.response_head().await.unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("application/json"));
}
