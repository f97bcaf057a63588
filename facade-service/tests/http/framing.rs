//! Requests that two programs could read differently, each with an innocent request behind it on the same
//! connection: refused, and the connection closed, or read in the one way that RFC 9112 has.

use std::fmt::Write as _;

use crate::support::{World, client::Response};

/// A body of 11 bytes, and the same in chunks.
const BODY: &str = r#"{"msg":"x"}"#;
const CHUNKS: &str = "b\r\n{\"msg\":\"x\"}\r\n0\r\n\r\n";

/// What a client finds out with a second request.
const INNOCENT: &str = "POST /facade HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
    Content-Length: 18\r\nConnection: close\r\n\r\n{\"msg\":\"innocent\"}";

/// What is to become of a payload.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// One answer with this status, and the end of the connection. Nothing is stored.
    Refused(u16),
    /// It and the innocent request are stored.
    Read,
    /// It is stored, and the connection ends with its answer.
    Last,
}

use Fate::{Last, Read, Refused};

type Case = (&'static str, String, Fate);

/// A post whose head has these lines beside those that every one has.
fn post(lines: &str, body: &str) -> String {
    let lines = if lines.is_empty() { String::new() } else { format!("{lines}\r\n") };
    format!(
        "POST /facade HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{lines}\r\n{body}"
    )
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked", body)
}

/// What a head says of the length of its body.
fn lengths() -> Vec<Case> {
    let te = "Transfer-Encoding";
    let of = |lines: &str, body: &str, fate| -> Case { ("length", post(lines, body), fate) };
    vec![
        of("Content-Length: 11", BODY, Read),
        of("Content-Length:\t 11 \t", BODY, Read),
        of("Content-Length: 0011", BODY, Read),
        of("Content-Length: 11\r\nContent-Length: 11", BODY, Read),
        of("Content-Length: 11\r\nContent-Length: 12", BODY, Refused(400)),
        of("Content-Length: 11, 11", BODY, Refused(400)),
        of("Content-Length: 11, 12", BODY, Refused(400)),
        of("Content-Length: +11", BODY, Refused(400)),
        of("Content-Length: -11", BODY, Refused(400)),
        of("Content-Length: 0xb", BODY, Refused(400)),
        of("Content-Length: 1_1", BODY, Refused(400)),
        of("Content-Length: 1 1", BODY, Refused(400)),
        of("Content-Length: 11;", BODY, Refused(400)),
        of("Content-Length: 11.0", BODY, Refused(400)),
        of("Content-Length: \"11\"", BODY, Refused(400)),
        of("Content-Length:", BODY, Refused(400)),
        of("Content-Length: \x0b11", BODY, Refused(400)),
        of("Content-Length: 99999999999999999999999", BODY, Refused(400)),
        of("Content-Length : 11", BODY, Refused(400)),
        of(" Content-Length: 11", BODY, Refused(400)),
        of("Content-Length\t: 11", BODY, Refused(400)),
        of("Content-Length\0: 11", BODY, Refused(400)),
        of(&format!("{te}: chunked"), CHUNKS, Read),
        of(&format!("{te}: CHUNKED"), CHUNKS, Read),
        of(&format!("{te}:\tchunked\t"), CHUNKS, Read),
        of(&format!("{te}:chunked"), CHUNKS, Read),
        of(&format!("{te}: gzip, chunked"), CHUNKS, Refused(501)),
        of(&format!("{te}: cow, chunked"), CHUNKS, Refused(501)),
        of(&format!("{te}: identity, chunked"), CHUNKS, Refused(501)),
        of(&format!("{te}: gzip\r\n{te}: chunked"), CHUNKS, Refused(501)),
        of(&format!("{te}: chunked, chunked"), CHUNKS, Refused(400)),
        of(&format!("{te}: chunked\r\n{te}: chunked"), CHUNKS, Refused(400)),
        of(&format!("{te}: , chunked"), CHUNKS, Refused(400)),
        of(&format!("{te}: chunked,"), CHUNKS, Refused(400)),
        of(&format!("{te}: chunked, identity"), CHUNKS, Refused(400)),
        of(&format!("{te}: chunked\r\n{te}: identity"), CHUNKS, Refused(400)),
        of(&format!("{te}: identity"), CHUNKS, Refused(400)),
        of(&format!("{te}: gzip"), CHUNKS, Refused(400)),
        of(&format!("{te}: xchunked"), CHUNKS, Refused(400)),
        of(&format!("{te}: chunked;q=1"), CHUNKS, Refused(400)),
        of(&format!("{te}: \"chunked\""), CHUNKS, Refused(400)),
        of(&format!("{te}: chunk"), CHUNKS, Refused(400)),
        of(&format!("{te}: chunked\0"), CHUNKS, Refused(400)),
        of(&format!("{te}: \x0bchunked"), CHUNKS, Refused(400)),
        of(&format!("{te}: \u{a0}chunked"), CHUNKS, Refused(400)),
        of(&format!("{te}:"), CHUNKS, Refused(400)),
        of(&format!("{te} : chunked"), CHUNKS, Refused(400)),
        of(&format!("{te}\t: chunked"), CHUNKS, Refused(400)),
        of(&format!(" {te}: chunked"), CHUNKS, Refused(400)),
        of(&format!("{te}\r\n : chunked"), CHUNKS, Refused(400)),
        of(&format!("{te}:\r\n chunked"), CHUNKS, Refused(400)),
        of(&format!("X: y\r{te}: chunked"), CHUNKS, Refused(400)),
        of(&format!("X: y\r\r\n{te}: chunked"), CHUNKS, Refused(400)),
        of(&format!("X: y\0{te}: chunked"), CHUNKS, Refused(400)),
        of("Transfer_Encoding: chunked\r\nContent-Length: 11", BODY, Read),
        of(&format!("X: y\n{te}: chunked"), CHUNKS, Read),
        of(&format!("{te}: chunked\r\nContent-Length: 11"), CHUNKS, Refused(400)),
        of(&format!("Content-Length: 11\r\n{te}: chunked"), CHUNKS, Refused(400)),
        of(&format!("Content-Length: 5\r\n{te}: chunked"), CHUNKS, Refused(400)),
        of(&format!("Content-Length: 0\r\n{te}: chunked"), CHUNKS, Refused(400)),
        of(&format!("{te}: chunked\r\nContent-Length: x"), CHUNKS, Refused(400)),
        of(&format!("{te}: x\r\nContent-Length: 11"), BODY, Refused(400)),
        of(&format!("{te}: chunked\r\n{te}: x\r\nContent-Length: 11"), BODY, Refused(400)),
        of(&format!("{te} : chunked\r\nContent-Length: 11"), BODY, Refused(400)),
    ]
}

/// Chunks, and what is behind the last one.
fn chunks() -> Vec<Case> {
    let data = "{\"msg\":\"x\"}\r\n0\r\n\r\n";
    let mut cases = Vec::new();
    for size in ["b", "B", "000b", "b;x", "b;x=y", "b;x=\"y\"", "b ;x", "b\t; x"] {
        cases.push(("chunk size", chunked(&format!("{size}\r\n{data}")), Read));
    }
    for size in [
        "+b",
        "-b",
        "0xb",
        "0Xb",
        " b",
        "b ",
        "b\t",
        "b_",
        "0_b",
        "b,b",
        "b x",
        "bg",
        "\x0bb",
        "",
        "x",
        ";x",
        "b\r",
        "b;\rx",
        "b;x\ny",
        "b;\0",
        "0000000000000000b0000000000000000",
        "b\n",
        "10000000000000000b",
    ] {
        cases.push(("chunk size", chunked(&format!("{size}\r\n{data}")), Refused(400)));
    }
    for size in ["b", "b;x", "b "] {
        cases.push(("bare LF behind a size", chunked(&format!("{size}\n{data}")), Refused(400)));
    }
    for end in ["\n", "\r", "", "XX", "\n\n", "\r\r\n", "\r\n\r\n", " \r\n"] {
        let body = format!("b\r\n{BODY}{end}0\r\n\r\n");
        cases.push(("end of a chunk", chunked(&body), Refused(400)));
    }
    let body = |end: &str| chunked(&format!("b\r\n{BODY}\r\n{end}"));
    for end in ["0\r\nA: b\r\n\r\n", "00\r\n\r\n", "0;x\r\n\r\n", "0\r\nHost: b\r\nA: \r\n\r\n"] {
        cases.push(("last chunk and trailers", body(end), Read));
    }
    // Even if a trailer names a length, it has none.
    cases.push(("last chunk and trailers", body("0\r\nContent-Length: 99\r\n\r\n"), Read));
    for end in [
        "0\r\n\n",
        "0\r\nA: b\n\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\r\n\n",
        "0\n\n",
        "0\n\r\n",
        "0\r\r\n",
        "0\r\n\r\r\n",
        "0\r\nA: b\r\r\n\r\n",
        "0\r\nA\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nA: b\0\r\n\r\n",
        "0\r\n",
        "0\r\n\0",
    ] {
        cases.push(("last chunk and trailers", body(end), Refused(400)));
    }
    cases
}

/// Lines of a head.
fn lines() -> Vec<Case> {
    let start = |line: &str| {
        format!(
            "{line}\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{BODY}"
        )
    };
    let of = |bytes: String, fate| -> Case { ("head", bytes, fate) };
    let length = "Content-Length: 11";
    vec![
        of(format!("\r\n\r\n{}", post(length, BODY)), Read),
        of(format!("\n{}", post(length, BODY)), Read),
        of(post(length, BODY).replace("\r\n", "\n"), Read),
        of(start("POST http://a/facade HTTP/1.1"), Read),
        of(start("POST http://b:1/facade HTTP/1.1"), Read),
        of(start("POST http://u@a/facade HTTP/1.1"), Refused(400)),
        of(start("POST  /facade HTTP/1.1"), Refused(400)),
        of(start("POST /facade  HTTP/1.1"), Refused(400)),
        of(start("POST\t/facade HTTP/1.1"), Refused(400)),
        of(start("POST /facade\tHTTP/1.1"), Refused(400)),
        of(start("POST /facade HTTP/1.1 "), Refused(400)),
        of(start(" POST /facade HTTP/1.1"), Refused(400)),
        of(start("POST /facade HTTP/1.1\r"), Refused(400)),
        of(start("POST /facade http/1.1"), Refused(400)),
        of(start("POST /facade HTTP/1.10"), Refused(400)),
        of(start("POST /facade HTTP/2.0"), Refused(400)),
        of(start("POST /facade HTTP/0.9"), Refused(400)),
        of(start("POST /facade"), Refused(400)),
        of(start("POST /facade x HTTP/1.1"), Refused(400)),
        of(start("POST /facade\0 HTTP/1.1"), Refused(400)),
        of(start("PO\0ST /facade HTTP/1.1"), Refused(400)),
        of(post(&format!("X: a\r\n b\r\n{length}"), BODY), Refused(400)),
        of(post(&format!("X\r\n{length}"), BODY), Refused(400)),
        of(post(&format!("X: \0\r\n{length}"), BODY), Refused(400)),
        of(post(&format!("X: a\rb\r\n{length}"), BODY), Refused(400)),
        of(post(&format!(": a\r\n{length}"), BODY), Refused(400)),
        of(post(&format!("X(y): a\r\n{length}"), BODY), Refused(400)),
        // A proxy of the old protocol keeps no connection open.
        of(start("POST /facade HTTP/1.0"), Last),
        of(post("Transfer-Encoding: chunked", CHUNKS).replace("1.1", "1.0"), Refused(400)),
    ]
}

/// Whose request it is.
fn hosts() -> Vec<Case> {
    let of = |version: &str, lines: &str, fate| -> Case {
        let head = "Content-Type: application/json\r\nContent-Length: 11\r\n";
        ("host", format!("POST /facade HTTP/{version}\r\n{lines}{head}\r\n{BODY}"), fate)
    };
    let mut cases = vec![
        of("1.1", "Host: a\r\n", Read),
        of("1.1", "hOST:a:80\r\n", Read),
        of("1.1", "Host: [::1]:5000\r\n", Read),
        of("1.1", "Host:\r\n", Read),
        of("1.1", "", Refused(400)),
        of("1.1", "Host: a\r\nHost: a\r\n", Refused(400)),
        of("1.1", "Host: a\r\nHost: b\r\n", Refused(400)),
        of("1.1", "Host: a\r\nhost:\r\n", Refused(400)),
        of("1.1", "Host : a\r\n", Refused(400)),
        of("1.1", "X-Host: a\r\n", Refused(400)),
        of("1.0", "", Last),
        of("1.0", "Host: a\r\n", Last),
        of("1.0", "Host: a\r\nHost: a\r\n", Refused(400)),
        of("1.0", "Host: a b\r\n", Refused(400)),
    ];
    for host in
        ["a b", "a,b", "a/b", "a@b", "http://a", "a:b", "a:80:80", "::1", "[::1", "a%zz", "\u{e4}"]
    {
        let fate = if host == "a,b" { Read } else { Refused(400) };
        cases.push(of("1.1", &format!("Host: {host}\r\n"), fate));
    }
    cases
}

/// Sends `payload` and the innocent request, and reads all answers.
async fn answers(world: &World, payload: &str) -> Vec<Response> {
    let mut client = world.connect().await;
    client.send(format!("{payload}{INNOCENT}")).await;
    let mut answers = Vec::new();
    while let Ok(answer) = crate::support::within(client.try_response()).await {
        answers.push(answer);
    }
    answers
}

/// Checks each case, and tells of all that go wrong.
async fn check(cases: Vec<Case>) {
    let world = World::start().await;
    let (mut stored, mut wrong) = (0, String::new());
    for (what, payload, fate) in cases {
        let answers = answers(&world, &payload).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        let records = world.logging.records();
        let texts: Vec<_> = records[stored..]
            .iter()
            .map(|record| String::from_utf8_lossy(&record.message.body).into_owned())
            .collect();
        stored = records.len();
        let (expected, kept): (&[u16], &[&str]) = match fate {
            Refused(ref status) => (std::slice::from_ref(status), &[]),
            Read => (&[200, 200], &["x", "innocent"]),
            Last => (&[200], &["x"]),
        };
        let says_close = answers.last().and_then(|answer| answer.header("connection"));
        let is_closed = matches!(fate, Last) || says_close == Some("close");
        if statuses != expected || texts != kept || !is_closed {
            let payload = payload.escape_debug();
            let _ = writeln!(
                wrong,
                "{what} {payload}: {fate:?}, got {statuses:?} {says_close:?}, stored {texts:?}"
            );
        }
        for answer in
            answers.iter().filter(|answer| answer.status >= 400 && !answer.body.is_empty())
        {
            answer.failure(answer.status, Some("no"));
        }
    }
    assert_eq!(wrong, "", "\n{wrong}");
}

#[tokio::test]
async fn a_length_is_read_in_one_way_or_refused() {
    check(lengths()).await;
}

#[tokio::test]
async fn chunks_and_trailers_end_where_every_program_sees_it() {
    check(chunks()).await;
}

#[tokio::test]
async fn lines_of_a_head_are_read_in_one_way_or_refused() {
    check(lines()).await;
}

#[tokio::test]
async fn a_request_of_http_1_1_has_one_valid_host() {
    check(hosts()).await;
}

/// The lines that were read are stored, and the answer says where it ended.
#[tokio::test]
async fn an_upload_ends_honestly_where_its_framing_breaks() {
    let world = World::start().await;
    for (end, error) in
        [("0\r\nA: b\n\n", "trailer section"), ("1\n", "chunk"), ("0\r\n\n", "trailer section")]
    {
        let stored = world.logging.records().len();
        let mut client = world.connect().await;
        let head = "POST /facade/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\n\
            Transfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}c\r\n{BODY}\n\r\n7\r\n{{\"msg\":\r\n{end}{INNOCENT}")).await;
        let lines = client.response().await.lines();
        assert_eq!((lines.len(), &lines[0]["status"]), (2, &"success".into()), "{lines:?}");
        assert_eq!((&lines[1]["line"], &lines[1]["code"]), (&2.into(), &"invalid_framing".into()));
        assert!(lines[1]["message"].as_str().unwrap().contains(error), "{lines:?}");
        assert_eq!(client.closed().await, b"", "{end:?}: the innocent request was answered");
        assert_eq!(world.logging.records().len(), stored + 1);
    }
}

/// The layer refuses on every route, before the route does anything.
#[tokio::test]
async fn no_route_answers_a_request_without_host() {
    let world = World::start().await;
    for (method, path) in [
        ("GET", "/facade"),
        ("HEAD", "/facade"),
        ("POST", "/facade/batch"),
        ("GET", "/facade/0199c0de-0000-7000-8000-00000000abcd"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/nothing"),
        ("DELETE", "/facade"),
    ] {
        let mut client = world.connect().await;
        client.send(format!("{method} {path} HTTP/1.1\r\n\r\n")).await;
        let answer = String::from_utf8(client.closed().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{method} {path}: {answer}");
        assert!(method == "HEAD" || answer.contains("\"code\":\"invalid_host\""), "{answer}");
        // Only a post can bring a message.
        assert_eq!(answer.contains("\"stored\":\"no\""), method == "POST", "{answer}");
    }
}
