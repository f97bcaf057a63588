//! Clients that close their sending half, clients that close wholly, and clients that reset.

use serde_json::json;

use crate::support::{
    HELLO, POST, Plan, STREAMED, UPLOAD, World, client::Client, logging::Appends, until, within,
};

/// A connection on which `request` was sent as it is, and then the end of the input.
async fn send_all(world: &World, request: &str) -> Client {
    let mut client = world.connect().await;
    client.send(request).await;
    client.end_input().await;
    client
}

fn post(version: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /facade HTTP/{version}\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_post_before_the_end_of_the_input_is_answered() {
    let world = World::start().await;
    let chunked = "POST /facade HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                   transfer-encoding: chunked\r\n\r\nf\r\n{\"msg\":\"hello\"}\r\n0\r\n\r\n";
    for (request, sequence) in
        [post("1.1", HELLO), post("1.0", HELLO), chunked.to_owned()].iter().zip(1..)
    {
        world.logging.on_append(Appends::Stall);
        let mut client = send_all(&world, request).await;
        // The end of the input arrives while the answer is awaited.
        until("it is under way", async || world.logging.waiting() == 1).await;
        world.logging.on_append(Appends::Store);
        let response = client.response().await;
        assert_eq!((response.status, &response.json()["sequence"]), (200, &json!(sequence)));
        client.ends_well().await;
    }
}

#[tokio::test]
async fn a_read_before_the_end_of_the_input_is_answered() {
    let world = World::start().await;
    // More than the sockets hold.
    world.logging.store_many(300, &[b'x'; 100_000]);
    let id = world.logging.records()[0].message.id;
    for (path, status) in [
        ("/facade?limit=1", 200),
        ("/facade", 200),
        (&format!("/facade/{id}"), 200),
        ("/facade/x", 400),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/nothing", 404),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut client = send_all(&world, &request).await;
        assert_eq!(client.response().await.status, status, "{path}");
        client.ends_well().await;
    }
}

#[tokio::test]
async fn an_upload_before_the_end_of_the_input_is_answered() {
    let world = World::start().await;
    // More than may be under way, so that reading pauses.
    let lines = 5_000;
    let upload = "{\"msg\":\"a\"}\n".repeat(lines);
    for framing in ["content-length", "chunked"] {
        world.logging.on_append(Appends::Stall);
        let mut client = if framing == "chunked" {
            let mut client = world.begin(STREAMED).await;
            client.chunk(&upload).await;
            client.chunk("").await;
            client
        } else {
            world.send(UPLOAD, &upload).await
        };
        client.end_input().await;
        until("lines are under way", async || world.logging.waiting() > 0).await;
        world.logging.on_append(Appends::Store);
        let outcomes = client.response().await.lines();
        assert_eq!(outcomes.len(), lines, "{framing}");
        assert!(outcomes.iter().all(|outcome| outcome["status"] == "success"), "{framing}");
        client.ends_well().await;
    }
    assert_eq!(world.logging.records().len(), 2 * lines);
}

#[tokio::test]
async fn pipelined_requests_before_the_end_are_answered() {
    let world = World::start().await;
    let count = 50;
    let posts = post("1.1", HELLO).repeat(count);
    let mut client =
        send_all(&world, &format!("{posts}GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    for sequence in 1..=count {
        assert_eq!(client.response().await.json()["sequence"], sequence);
    }
    assert_eq!(client.response().await.status, 200);
    client.ends_well().await;
}

#[tokio::test]
async fn a_message_cut_by_the_end_of_the_input_is_not_stored() {
    let world = World::start().await;
    for framing in ["content-length: 100", "transfer-encoding: chunked"] {
        let mut client = world.begin_post(framing).await;
        client.send("f\r\n{\"msg\":\"hello\"}").await;
        client.end_input().await;
        let response = client.response().await;
        response.failure(400, Some("no"));
        assert_eq!(response.json()["code"], "body_incomplete");
        assert_eq!(response.header("connection"), Some("close"));
        client.ends_well().await;
    }
    assert_eq!(world.logging.records().len(), 0);
}

#[tokio::test]
async fn a_head_cut_by_the_end_leaves_the_answer_before_it_whole() {
    let world = World::start().await;
    for cut in ["", "P", "POST /facade HTTP/1.1\r\ncontent-le"] {
        let mut client = send_all(&world, &format!("{}{cut}", post("1.1", HELLO))).await;
        assert_eq!(client.response().await.status, 200);
        client.ends_well().await;
    }
    assert_eq!(world.logging.records().len(), 3);
}

#[tokio::test]
async fn an_upload_cut_by_the_end_of_the_input_says_where() {
    let world = World::start().await;
    for framing in ["content-length: 100", "transfer-encoding: chunked"] {
        let head = format!("POST /facade/batch\ncontent-type: application/x-ndjson\n{framing}");
        let mut client = world.begin(&head).await;
        let lines = "{\"msg\":\"a\"}\n{\"msg\":\"b\"}\n{\"msg\":\"half\"}";
        match framing {
            "transfer-encoding: chunked" => client.chunk(lines).await,
            _ => client.send(lines).await,
        }
        client.end_input().await;
        let outcomes = client.response().await.lines();
        assert_eq!(outcomes.len(), 3, "{framing}: {outcomes:?}");
        assert_eq!(outcomes[1]["status"], "success");
        assert_eq!(
            (&outcomes[2]["line"], &outcomes[2]["code"], &outcomes[2]["stored"]),
            (&json!(3), &json!("body_incomplete"), &json!("no"))
        );
        client.ends_well().await;
    }
    assert_eq!(world.logging.texts(), ["a", "b", "a", "b"]);
}

#[tokio::test]
async fn a_client_that_closed_wholly_gives_back_its_slot() {
    let world = Plan::limits(|limits| limits.connections = 1).start().await;
    // More than the sockets hold.
    world.logging.store_many(300, &[b'x'; 100_000]);
    drop(world.send("GET /facade", "").await);
    drop(world.send(POST, HELLO).await);
    assert_eq!(world.get("/healthz", "").await.status, 200);
}

/// How a client gives up its request: each is noticed while the request waits.
async fn give_up(mut client: Client, how: &str) {
    match how {
        "after the end of its input" => client.end_input().await,
        "with more bytes behind the request" => client.send("POST /facade").await,
        _ => {}
    }
    client.reset();
}

#[tokio::test]
async fn the_message_of_a_client_that_resets_leaves_the_queue() {
    for how in ["at once", "after the end of its input", "with more bytes behind the request"] {
        let world = Plan::limits(|limits| limits.connections = 2).start().await;
        world.logging.on_append(Appends::Stall);
        let mut first = world.send(POST, r#"{"msg":"first"}"#).await;
        until("the first is under way", async || world.logging.waiting() == 1).await;
        let gone = world.send(POST, r#"{"msg":"gone"}"#).await;
        give_up(gone, how).await;
        // It is served once the slot is free: a connection with a request is not evicted.
        assert_eq!(world.get("/healthz", "").await.status, 200, "{how}");
        world.logging.on_append(Appends::Store);
        assert_eq!(first.response().await.status, 200);
        assert_eq!(world.post("", r#"{"msg":"last"}"#).await.status, 200);
        assert_eq!(world.logging.texts(), ["first", "last"], "{how}");
    }
}

#[tokio::test]
async fn a_stop_answers_a_client_that_sends_no_more() {
    let world = World::start().await;
    world.logging.on_append(Appends::Stall);
    let mut client = send_all(&world, &post("1.1", HELLO)).await;
    until("it is under way", async || world.logging.waiting() == 1).await;
    world.stop.cancel();
    world.logging.on_append(Appends::Store);
    assert_eq!(client.response().await.status, 200);
    client.ends_well().await;
    within(world.stopped()).await;
}
