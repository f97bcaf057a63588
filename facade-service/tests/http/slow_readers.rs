//! Clients that ask for the log and read it slowly, or not at all.

use std::time::Duration;

use tokio::{io::AsyncReadExt as _, time::sleep};

use crate::support::{Plan, World, client::Client, until, within};

/// The whole log is far more than what sockets take in for a client that does not read.
const RECORDS: usize = 100;
const RECORD_BYTES: usize = 256 * 1024;

/// A facade over that log, with so many places for lists.
async fn world_with_lists(lists: usize, response_stall: Duration) -> World {
    let mut plan = Plan::limits(|limits| limits.response_stall = response_stall);
    plan.limits.reads.lists = lists;
    let world = plan.start().await;
    world.logging.store_many(RECORDS, &vec![b'x'; RECORD_BYTES]);
    world
}

/// A client that has asked for a list, with an answer that has begun or a refusal.
async fn ask(world: &World, path: &str) -> (Client, u16) {
    let mut client = Client::connect_with_small_buffer(world.addr).await;
    client.request(&format!("GET {path}\naccept: text/plain"), "").await;
    let status = within(client.response_head()).await.unwrap().status;
    (client, status)
}

/// A list that has begun, however often it was refused before.
async fn list(world: &World) -> Client {
    loop {
        let (client, status) = ask(world, "/facade").await;
        if status == 200 {
            return client;
        }
        assert_eq!(status, 503);
        sleep(Duration::from_millis(50)).await;
    }
}

/// Bytes of the body of a list, to its proper end. None if it broke off.
async fn rest_bytes(client: &mut Client) -> Option<usize> {
    let mut bytes = 0;
    loop {
        match within(client.response_chunk()).await {
            Ok(Some(piece)) => bytes += piece.len(),
            Ok(None) => return Some(bytes),
            Err(_) => return None,
        }
    }
}

#[tokio::test]
async fn a_page_needs_no_place_while_its_client_reads() {
    let world = world_with_lists(1, Duration::from_secs(60)).await;
    let _slow = list(&world).await;
    let mut pages = Vec::new();
    for _ in 0..100 {
        let (page, status) = ask(&world, "/facade?limit=1").await;
        assert_eq!(status, 200, "after {} pages that nobody reads", pages.len());
        pages.push(page);
    }
    assert!(rest_bytes(&mut pages[0]).await.is_some_and(|bytes| bytes > RECORD_BYTES));
}

#[tokio::test]
async fn a_page_beyond_the_budget_of_pages_needs_a_place() {
    let mut plan = Plan::default();
    plan.limits.reads.lists = 1;
    plan.limits.reads.page_bytes = 100;
    plan.limits.reads.pages_bytes = 100;
    let world = plan.start().await;
    world.logging.store_many(RECORDS, &vec![b'x'; RECORD_BYTES]);
    let _slow = list(&world).await;
    assert_eq!(ask(&world, "/facade?limit=1").await.1, 503);
    world.logging.store("facade", b"short");
    assert_eq!(ask(&world, &format!("/facade?limit=1&after={RECORDS}")).await.1, 200);
}

#[tokio::test]
async fn slow_readers_come_again_and_shut_out_nobody() {
    let world = world_with_lists(3, Duration::from_secs(60)).await;
    let mut fast = list(&world).await;
    let mut fast_bytes = 0;
    let mut slow = Vec::new();
    for wave in 0..3 {
        for _ in 0..2 {
            slow.push(list(&world).await);
            // Much less than it could, much more than the others.
            let piece = within(fast.response_chunk()).await;
            fast_bytes +=
                piece.unwrap_or_else(|error| panic!("wave {wave}: {error}")).unwrap().len();
        }
        assert_eq!(world.get("/facade?limit=1", "").await.status, 200);
        let mut honest = list(&world).await;
        let read = rest_bytes(&mut honest).await;
        assert!(read.is_some_and(|bytes| bytes > RECORDS * RECORD_BYTES), "{read:?}");
    }
    let rest = rest_bytes(&mut fast).await.expect("the fast reader was evicted");
    assert!(fast_bytes + rest > RECORDS * RECORD_BYTES);
    let first = rest_bytes(&mut slow[0]).await;
    assert_eq!(first, None, "a list that made way looks whole");
}

#[tokio::test]
async fn a_reader_that_reads_slowly_is_not_cut() {
    let world = world_with_lists(1, Duration::from_millis(1500)).await;
    let mut slow = list(&world).await;
    let mut bytes = 0;
    // All that is read meanwhile is a fraction of what the send buffer holds.
    let mut piece = [0; 2 * 1024];
    for _ in 0..80 {
        bytes += within(slow.stream.read(&mut piece)).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    assert!(bytes < 200_000);
    let mut rest = Vec::new();
    let cut =
        tokio::time::timeout(Duration::from_secs(1), slow.stream.read_to_end(&mut rest)).await;
    assert!(!matches!(cut, Ok(Err(_))), "cut after {bytes} bytes: {cut:?}");
    let whole = rest.len() + bytes > RECORDS * RECORD_BYTES / 2;
    assert!(whole || cut.is_err(), "the end came after {bytes} bytes");
}

#[tokio::test]
async fn a_reader_that_reads_nothing_is_cut() {
    let world = world_with_lists(1, Duration::from_millis(500)).await;
    let silent = list(&world).await;
    until("it is cut", async || silent.stream.try_write(b"G").is_err()).await;
}
