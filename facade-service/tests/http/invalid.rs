//! What is nearly a message, byte by byte: refused as the client's mistake, never stored.

use crate::support::{HELLO, POST, UPLOAD, World};

/// Bodies that no reader of JSON may make a message of, each with what is wrong with it.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = 100_000;
    let text: [(&str, &str); 37] = [
        ("nothing", ""),
        ("no field", "{}"),
        ("an empty list", "[]"),
        ("a word", "nonsense"),
        ("a number for the text", r#"{"msg":1}"#),
        ("an empty text", r#"{"msg":""}"#),
        ("a field too many", r#"{"msg":"a","more":1}"#),
        ("a list for the object", r#"["a"]"#),
        ("only a byte of zero", "\0"),
        ("a byte of zero", "{\"msg\":\"a\0b\"}"),
        ("a raw control character", "{\"msg\":\"a\x01b\"}"),
        ("a raw line break", "{\"msg\":\"a\nb\"}"),
        ("a lone high surrogate", r#"{"msg":"\ud800"}"#),
        ("a lone low surrogate", r#"{"msg":"\udc00"}"#),
        ("surrogates the wrong way round", r#"{"msg":"\ude00\ud83d"}"#),
        ("a high surrogate and text", r#"{"msg":"\ud83dx"}"#),
        ("an escape that is none", r#"{"msg":"\x41"}"#),
        ("a short escape", r#"{"msg":"\u12"}"#),
        ("a key twice", r#"{"msg":"a","msg":"b"}"#),
        ("the same key twice", r#"{"msg":"a","msg":"a"}"#),
        ("a key twice, once escaped", r#"{"msg":"a","\u006dsg":"b"}"#),
        ("NaN", r#"{"msg":NaN}"#),
        ("Infinity", r#"{"msg":-Infinity}"#),
        ("a number out of range", r#"{"msg":1e999999}"#),
        ("null", r#"{"msg":null}"#),
        ("an object", r#"{"msg":{"msg":"a"}}"#),
        ("a list", r#"{"msg":["a"]}"#),
        ("true", "true"),
        ("a string", r#""a""#),
        ("a second value", r#"{"msg":"a"}{"msg":"b"}"#),
        ("something behind", r#"{"msg":"a"} x"#),
        ("a comma too many", r#"{"msg":"a",}"#),
        ("single quotes", "{'msg':'a'}"),
        ("a comment", r#"{"msg":"a"/* b */}"#),
        ("a byte order mark", "\u{feff}{\"msg\":\"a\"}"),
        ("a key of a line", r#"{"msg":"a","key":"k"}"#),
        ("no end", r#"{"msg":"a"#),
    ];
    let mut bodies: Vec<_> = text.map(|(what, body)| (what, body.as_bytes().to_vec())).into();
    let raw: [(&str, &[u8]); 5] = [
        ("no UTF-8", b"{\"msg\":\"\xff\"}"),
        ("a surrogate in UTF-8", b"{\"msg\":\"\xed\xa0\x80\"}"),
        ("an overlong form", b"{\"msg\":\"\xc0\xaf\"}"),
        ("a cut character", b"{\"msg\":\"\xe2\x82\"}"),
        ("UTF-16", b"\xff\xfe{\0\"\0m\0s\0g\0\"\0:\0\"\0a\0\"\0}\0"),
    ];
    bodies.extend(raw.map(|(what, body)| (what, body.to_vec())));
    bodies.push(("depth", [b"{\"msg\":".to_vec(), vec![b'['; deep]].concat()));
    bodies.push(("depth of objects", b"{\"msg\":".repeat(deep)));
    let closed = [vec![b'['; deep], vec![b']'; deep]].concat();
    bodies.push(("depth beside a message", [b"{\"msg\":\"a\",\"x\":".to_vec(), closed].concat()));
    bodies
}

#[tokio::test]
async fn malformed_messages_are_refused_and_the_connection_goes_on() {
    let world = World::start().await;
    let mut client = world.connect().await;
    let mut refused = 0;
    for (what, body) in bodies() {
        client.request(POST, &body).await;
        let response = client.response().await;
        let message = response.failure(400, Some("no"));
        assert!(message.len() < 500, "{what}: {} bytes of words", message.len());
        refused += 1;
    }
    assert_eq!(refused, bodies().len());
    assert_eq!(world.logging.records().len(), 0);
    client.request(POST, HELLO).await;
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn malformed_lines_are_refused_and_the_lines_around_them_stored() {
    let world = World::start().await;
    // A line break ends a line, a blank line is none, and a key may be in one.
    let no_lines = ["nothing", "a raw line break", "a key of a line", "no end"];
    let is_a_line = |what: &str| !no_lines.contains(&what);
    let lines: Vec<_> = bodies().into_iter().filter(|(what, _)| is_a_line(what)).collect();
    let mut upload = Vec::new();
    for (_, line) in &lines {
        upload.extend_from_slice(line);
        upload.extend_from_slice(b"\n{\"msg\":\"good\"}\n");
    }
    let outcomes = world.request(UPLOAD, upload).await.lines();
    assert_eq!(outcomes.len(), 2 * lines.len());
    for (pair, (what, _)) in outcomes.chunks(2).zip(&lines) {
        assert_eq!(
            (&pair[0]["status"], &pair[0]["stored"]),
            (&"failure".into(), &"no".into()),
            "{what}"
        );
        assert_eq!(pair[1]["status"], "success", "after {what}");
    }
    assert_eq!(world.logging.records().len(), lines.len());
}

#[tokio::test]
async fn only_plain_json_is_taken() {
    let world = World::start().await;
    let json = "application/json";
    for (content_type, encoding) in [
        ("", "identity"),
        ("json", "identity"),
        ("text/json", "identity"),
        ("text/plain", "identity"),
        ("application/jsonl", "identity"),
        ("application/json,application/json", "identity"),
        ("application /json", "identity"),
        ("multipart/form-data; boundary=application/json", "identity"),
        ("application/x-www-form-urlencoded", "identity"),
        ("application/x-ndjson", "identity"),
        ("application/grpc", "identity"),
        ("application/json\u{e9}", "identity"),
        (json, "gzip"),
        (json, "br"),
        (json, "deflate, gzip"),
        (json, "identity, gzip"),
        (json, "x"),
    ] {
        let head =
            format!("POST /facade\ncontent-type: {content_type}\ncontent-encoding: {encoding}");
        let message = world.request(&head, HELLO).await.failure(415, Some("no"));
        assert!(message.contains("send"), "{message}");
    }
    world.request("POST /facade", HELLO).await.failure(415, Some("no"));
    assert_eq!(world.logging.records().len(), 0);
    let taken = "POST /facade\ncontent-type: Application/JSON; charset=utf-8";
    assert_eq!(world.request(taken, HELLO).await.status, 200);
}

/// What the facade takes, the logging service takes: a message is never too large only later.
#[tokio::test]
async fn the_largest_accepted_message_fits_one_append_call() {
    let world = World::start().await;
    let most = oncelog::limits::HTTP_BODY_BYTES_MAX - r#"{"msg":""}"#.len();
    // Text that is as long in the call as it is in JSON, and text that is not.
    for text in ["x".repeat(most), "é".repeat(most / 2), r"\n".repeat(most / 2)] {
        let response = world.post("", format!(r#"{{"msg":"{text}"}}"#)).await;
        assert_eq!(response.status, 200, "{}", response.text());
    }
    let longest = world.logging.records().iter().map(|record| record.message.body.len()).max();
    assert!(longest.unwrap() * 2 < oncelog::limits::GRPC_MESSAGE_BYTES_MAX);
}
