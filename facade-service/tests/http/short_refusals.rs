//! A refusal quotes what it refuses, and is short however long that is.

use serde_json::Value;

use crate::support::{POST, UPLOAD, World};

/// Bytes of the body of a refusal.
const REFUSAL_BYTES_MAX: usize = 1024;

/// What a client may make long, in a body.
const LONG_BYTES: usize = 500_000;

/// The same in a head.
const LONG_IN_HEAD_BYTES: usize = 8_000;

/// Long texts of a body: plain, all of them escaped, all of them several bytes.
fn long_texts(bytes: usize) -> [String; 4] {
    ["x", "\\u0001", "\\\"", "😀"].map(|text| text.repeat(bytes / text.len()))
}

/// Bodies and lines that bring no message, and repeat a long text.
fn bodies() -> Vec<String> {
    let mut bodies = Vec::new();
    for long in long_texts(LONG_BYTES) {
        bodies.push(format!(r#"{{"{long}":"a"}}"#));
        bodies.push(format!(r#"{{"msg":"a","{long}":1}}"#));
        bodies.push(format!(r#"{{"msg":{{"{long}":1}}}}"#));
        bodies.push(format!(r#"{{"msg":"a"}}{long}"#));
        bodies.push(format!(r#"["{long}"]"#));
    }
    bodies.push(format!(r#"{{"msg":{}}}"#, "9".repeat(LONG_BYTES)));
    bodies.push(format!(r#"{{"msg":1e{}}}"#, "9".repeat(LONG_BYTES)));
    bodies.push("x".repeat(LONG_BYTES));
    bodies
}

/// Heads with something long that is refused, and their status. None has a body.
fn heads() -> Vec<(String, u16)> {
    let long = "x".repeat(LONG_IN_HEAD_BYTES);
    let encoded = "%01".repeat(LONG_IN_HEAD_BYTES / 3);
    let mut heads = vec![
        (format!("POST /facade\ncontent-type: {long}"), 415),
        (format!("POST /facade\ncontent-type: text/plain;a=\"{}\"", "\\\"".repeat(4000)), 415),
        (format!("{POST}\ncontent-encoding: {long}"), 415),
        (format!("{POST}\nidempotency-key: {long}"), 400),
        (format!("{POST}\nidempotency-key: \"{long}"), 400),
        (format!("{POST}\ntransfer-encoding: {long}, chunked"), 501),
        (format!("{POST}\nhost: {long}"), 400),
        (format!("POST http://{long}:x@y/facade"), 400),
        (format!("{UPLOAD}\nidempotency-key: {long}"), 400),
        (format!("POST /facade/batch\ncontent-type: {long}"), 415),
        (format!("GET /facade\naccept: {long}"), 406),
        (format!("{long} /facade"), 405),
        (format!("GET /nothing?{long}={long}"), 404),
    ];
    for long in [&long, &encoded] {
        heads.push((format!("GET /{long}"), 404));
        heads.push((format!("GET /facade/{long}"), 400));
        heads.push((format!("GET /facade?{long}=1"), 400));
        heads.push((format!("GET /facade?after={long}"), 400));
        heads.push((format!("GET /facade?limit={long}"), 400));
    }
    heads.push((format!("GET /facade/{}", "%ff".repeat(LONG_IN_HEAD_BYTES / 3)), 400));
    heads
}

#[tokio::test]
async fn refusals_of_long_bodies_are_short() {
    let world = World::start().await;
    for body in bodies() {
        let response = world.post("", &body).await;
        let message = response.failure(400, Some("no"));
        assert!(response.body.len() < REFUSAL_BYTES_MAX, "{}: {message}", response.body.len());
        // The end of the sentence says what to do.
        assert!(message.ends_with(r#"send {"msg":"some text"}"#), "{message}");
    }
    let name = "a-name-".repeat(LONG_BYTES / 7);
    let message = world.post("", format!(r#"{{"{name}":"a"}}"#)).await.failure(400, Some("no"));
    assert!(message.contains("unknown field `a-name-a-name-"), "{message}");
    assert!(message.contains("expected `msg` at line 1 column 49"), "{message}");
    assert_eq!(world.logging.records().len(), 0);
}

#[tokio::test]
async fn refusals_of_long_lines_are_short() {
    let world = World::start().await;
    let mut lines = bodies();
    lines.push(format!(r#"{{"msg":"a","key":"{}"}}"#, "k".repeat(LONG_BYTES)));
    lines.push(format!(r#"{{"msg":"a","key":["{}"]}}"#, "k".repeat(LONG_BYTES)));
    for line in lines {
        let response = world.request(UPLOAD, format!("{line}\n")).await;
        let outcome: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((&outcome["status"], &outcome["stored"]), (&"failure".into(), &"no".into()));
        assert!(response.body.len() < REFUSAL_BYTES_MAX, "{outcome}");
    }
    assert_eq!(world.logging.records().len(), 0);
}

#[tokio::test]
async fn refusals_of_long_heads_are_short() {
    let world = World::start().await;
    for (head, status) in heads() {
        let mut client = world.connect().await;
        // A Host of the case stands for the usual one.
        let host = if head.contains("\nhost:") { "" } else { "host: a\r\n" };
        let (line, fields) = head.split_once('\n').unwrap_or((&head, ""));
        let fields: String = fields.lines().map(|field| format!("{field}\r\n")).collect();
        client.send(format!("{line} HTTP/1.1\r\n{host}{fields}connection: close\r\n\r\n")).await;
        let response = client.response().await;
        let named: String = head.chars().take(60).collect();
        assert_eq!(response.status, status, "{named}");
        let message = response.json()["message"].as_str().unwrap().to_owned();
        let bytes = response.body.len();
        assert!(bytes < REFUSAL_BYTES_MAX, "{named}: {bytes} bytes: {message}");
    }
    assert_eq!(world.logging.records().len(), 0);
}
