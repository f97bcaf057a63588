//! Uploads by clients that send first and read later.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{Plan, STREAMED, UPLOAD, World, client::Client};

const LINES_A_CHUNK: usize = 500;

/// More lines than have their outcomes in the buffers of sockets, and fewer than have room in the facade.
const LINES: usize = 50_000;

/// Each chunk begins with a message. The other lines are refused, which is quick.
fn chunk() -> String {
    let refused = "x".repeat(200) + "\n";
    format!("{{\"msg\":\"a\"}}\n{}", refused.repeat(LINES_A_CHUNK - 1))
}

async fn world(unread_bytes: usize, response_stall: Duration) -> World {
    let mut plan = Plan::limits(|limits| limits.response_stall = response_stall);
    plan.limits.uploads.unread_bytes = unread_bytes;
    plan.limits.uploads.unread_bytes_of_all = unread_bytes;
    plan.start().await
}

/// A client that has begun an upload, and has sent lines without reading an outcome.
async fn send(world: &World, lines: usize) -> Client {
    let mut client = Client::connect_with_small_buffer(world.addr).await;
    client.head(STREAMED).await;
    for _ in 0..lines / LINES_A_CHUNK {
        client.chunk(chunk()).await;
    }
    client
}

/// Ends an upload, then reads its outcomes.
async fn outcomes(client: &mut Client) -> Vec<Value> {
    client.chunk("").await;
    let response = client.response().await;
    assert_eq!(response.status, 200);
    response.lines()
}

fn stored(outcomes: &[Value]) -> usize {
    outcomes.iter().filter(|outcome| outcome["status"] == "success").count()
}

#[tokio::test]
async fn a_client_that_reads_after_it_has_sent_gets_all() {
    let world = world(16 * 1024 * 1024, Duration::from_secs(60)).await;
    let mut client = send(&world, LINES).await;
    let outcomes = outcomes(&mut client).await;
    assert_eq!((outcomes.len(), stored(&outcomes)), (LINES, LINES / LINES_A_CHUNK));
}

#[tokio::test]
async fn an_upload_with_no_room_for_outcomes_says_where_it_ended() {
    let world = world(64 * 1024, Duration::from_secs(2)).await;
    let mut client = send(&world, LINES).await;
    let outcomes = outcomes(&mut client).await;
    let (last, before) = outcomes.split_last().unwrap();
    assert_eq!(last["code"], "outcomes_not_read");
    assert_eq!((&last["line"], &last["stored"]), (&json!(before.len() + 1), &json!("no")));
    assert!(before.len() < LINES, "there was room for all");
    assert_eq!(stored(before), world.logging.records().len());
    // All of it was read past, so the connection goes on.
    client.request("GET /healthz", "").await;
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn a_client_that_still_sends_its_upload_is_not_cut() {
    let world = world(16 * 1024 * 1024, Duration::from_millis(600)).await;
    let mut client = send(&world, LINES).await;
    for _ in 0..20 {
        client.chunk("x\n").await;
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(outcomes(&mut client).await.len(), LINES + 20);
}

#[tokio::test]
async fn unread_outcomes_of_one_upload_hold_up_no_other() {
    let world = world(64 * 1024, Duration::from_secs(60)).await;
    let sending = async { send(&world, LINES).await };
    let reading = async {
        // By then the other client has left too much unread.
        sleep(Duration::from_secs(1)).await;
        let response = world.request(UPLOAD, chunk().repeat(4)).await;
        assert_eq!(response.lines().len(), 4 * LINES_A_CHUNK);
    };
    tokio::select! {
        _ = sending => panic!("there was room for all"),
        () = reading => {}
    }
}
