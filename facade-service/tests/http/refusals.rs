//! A refusal does not harm the next request on its connection.

use std::time::{Duration, Instant};

use crate::support::{
    HELLO, POST, Plan, UPLOAD, World,
    client::{Client, Response},
};

/// Requests that are refused, or answered, without their body, and with which status.
const UNREAD: [(&str, u16); 16] = [
    ("POST /facade", 415),
    ("POST /facade\ncontent-type: text/plain", 415),
    ("POST /facade\ncontent-type: application/json\ncontent-encoding: gzip", 415),
    ("POST /facade\ncontent-type: application/json\nidempotency-key: two words", 400),
    ("POST /facade/batch\ncontent-type: application/json", 415),
    ("POST /facade/batch\ncontent-type: application/x-ndjson\nidempotency-key: k", 400),
    ("POST /nothing\ncontent-type: application/json", 404),
    ("PUT /facade\ncontent-type: application/json", 405),
    ("POST /healthz", 405),
    ("DELETE /facade/x", 405),
    ("GET /facade\naccept: image/png", 406),
    ("GET /facade?limit=x", 400),
    ("GET /facade/x", 400),
    ("GET /facade/00000000-0000-7000-8000-000000000000", 404),
    ("GET /facade", 200),
    ("GET /healthz", 200),
];

const SIZES: [usize; 4] = [1, 10_000, 100_000, 2_000_000];

/// `head` and `body` in one piece, or in chunks.
fn encode(head: &str, body: &[u8], chunked: bool) -> Vec<u8> {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|header| format!("{header}\r\n")).collect();
    let head = format!("{line} HTTP/1.1\r\nhost: a\r\n{headers}");
    if !chunked {
        let head = format!("{head}content-length: {}\r\n\r\n", body.len());
        return [head.as_bytes(), body].concat();
    }
    let mut request = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(20_000) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()));
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

/// Sends a request that is refused and an innocent one on the same connection: the second one after the
/// answer of the first, or with it.
async fn refused_then_posted(
    client: &mut Client,
    request: &[u8],
    pipelined: bool,
) -> (Response, Response) {
    let innocent = encode(POST, HELLO.as_bytes(), false);
    client.send(request).await;
    if pipelined {
        client.send(&innocent).await;
        return (client.response().await, client.response().await);
    }
    let refusal = client.response().await;
    client.send(&innocent).await;
    (refusal, client.response().await)
}

#[tokio::test]
async fn the_post_after_a_refusal_is_answered() {
    let world = World::start().await;
    let mut posted = 0;
    for (head, status) in UNREAD {
        let mut client = world.connect().await;
        for size in SIZES {
            for (chunked, pipelined) in [(false, false), (false, true), (true, false), (true, true)]
            {
                let request = encode(head, &vec![b'x'; size], chunked);
                let (refusal, innocent) =
                    refused_then_posted(&mut client, &request, pipelined).await;
                let case = format!("{head:?}, {size} bytes, chunked: {chunked}");
                assert_eq!((refusal.status, innocent.status), (status, 200), "{case}");
                assert_eq!(refusal.header("connection"), None, "{case}");
                posted += 1;
            }
        }
    }
    assert_eq!(world.logging.records().len(), posted);
}

#[tokio::test]
async fn the_post_after_a_refused_body_is_answered() {
    let world = World::start().await;
    let mut client = world.connect().await;
    for (size, status) in [(10_000, 400), (100_000, 400), (1024 * 1024 + 1, 413), (2_000_000, 413)]
    {
        for (chunked, pipelined) in [(false, false), (false, true), (true, false), (true, true)] {
            let request = encode(POST, &vec![b'x'; size], chunked);
            let (refusal, innocent) = refused_then_posted(&mut client, &request, pipelined).await;
            assert_eq!((refusal.status, innocent.status), (status, 200), "{size}, {chunked}");
        }
    }
}

async fn assert_announced(mut client: Client, status: u16, case: &str) {
    let refusal = client.response().await;
    assert_eq!((refusal.status, refusal.header("connection")), (status, Some("close")), "{case}");
    client.ends_well().await;
}

#[tokio::test]
async fn a_refusal_that_closes_its_connection_says_so() {
    let world = Plan::limits(|limits| {
        limits.body_read = Duration::from_millis(300);
        // However long it takes to send all of a body that is not taken in.
        limits.linger = Duration::from_secs(20);
    });
    let world = world.start().await;
    let innocent = encode(POST, HELLO.as_bytes(), false);
    let large = vec![b'x'; 6_000_000];
    for (head, status) in UNREAD {
        for chunked in [false, true] {
            let mut client = world.connect().await;
            client.send(encode(head, &large, chunked)).await;
            client.send(&innocent).await;
            assert_announced(client, status, &format!("{head:?}, chunked: {chunked}")).await;
        }
    }
    // More than is taken in: it is not waited for.
    for head in [POST, "POST /nothing"] {
        let client = world.begin(&format!("{head}\ncontent-length: 5000000")).await;
        assert_announced(client, if head == POST { 413 } else { 404 }, head).await;
    }
    // The rest does not arrive.
    for framing in ["content-length: 1000", "transfer-encoding: chunked"] {
        let client = world.begin(&format!("POST /nothing\n{framing}")).await;
        assert_announced(client, 404, framing).await;
        let client = world.begin(&format!("{POST}\n{framing}")).await;
        assert_announced(client, 408, framing).await;
    }
    assert_eq!(world.logging.records().len(), 0);
}

#[tokio::test]
async fn a_broken_body_closes_its_connection_and_says_so() {
    let world = World::start().await;
    for head in ["POST /nothing", POST] {
        let mut client = world.begin(&format!("{head}\ntransfer-encoding: chunked")).await;
        client.send("zz\r\n").await;
        let status = if head == POST { 400 } else { 404 };
        assert_announced(client, status, head).await;
    }
}

#[tokio::test]
async fn a_refusal_does_not_wait_for_a_body_that_waits_for_it() {
    // The time for a body is far longer than the test may last.
    let world = World::start().await;
    let begun = Instant::now();
    for head in ["POST /nothing", "POST /facade", &format!("{UPLOAD}\nidempotency-key: k")] {
        let expect = format!("{head}\nexpect: 100-continue\ncontent-length: 1000");
        let client = world.begin(&expect).await;
        assert_announced(
            client,
            if head == "POST /nothing" {
                404
            } else if head == "POST /facade" {
                415
            } else {
                400
            },
            head,
        )
        .await;
    }
    let client =
        world.begin(&format!("{POST}\nexpect: 100-continue\ncontent-length: 5000000")).await;
    assert_announced(client, 413, "too large").await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // HTTP/1.0 has no such expectation: the body comes.
    let mut client = world.connect().await;
    client
        .send(
            "POST /nothing HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\nexpect: 100-continue\r\n\
             content-length: 3\r\n\r\nabc",
        )
        .await;
    assert_eq!(client.response().await.status, 404);
    client.request(POST, HELLO).await;
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn a_body_that_was_asked_for_is_read_to_its_end() {
    let world = World::start().await;
    let mut client = world.begin_post("expect: 100-continue\ncontent-length: 10000").await;
    assert_eq!(client.response_head().await.unwrap().status, 100);
    client.send([b'x'; 10_000]).await;
    assert_eq!(client.response().await.status, 400);
    client.request(POST, HELLO).await;
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_body_that_is_not_wanted() {
    let world = World::start().await;
    let mut client = world.begin("POST /nothing\ncontent-length: 1000").await;
    // What is there by then was taken in before the stop.
    let mut other = world.send("GET /healthz", "").await;
    assert_eq!(other.response().await.status, 200);
    let begun = Instant::now();
    world.stop.cancel();
    let refusal = client.response().await;
    assert_eq!((refusal.status, refusal.header("connection")), (404, Some("close")));
    world.stopped().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn bodies_that_are_not_wanted_keep_no_client_out() {
    let world = Plan::limits(|limits| limits.connections = 2).start().await;
    let mut refused = Vec::new();
    for _ in 0..5 {
        refused.push(world.begin("POST /nothing\ncontent-length: 1000").await);
    }
    let begun = Instant::now();
    assert_eq!(world.post("", HELLO).await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "served after {:?}", begun.elapsed());
    // Each has its answer all the same.
    refused.truncate(3);
    for client in refused {
        assert_announced(client, 404, "evicted").await;
    }
}
