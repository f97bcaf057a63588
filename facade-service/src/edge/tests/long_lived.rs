//! Responses that end when their client has had enough, or when they have to.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};

use super::{Edge, WAIT_MAX};

#[tokio::test]
async fn long_lived_responses_beyond_their_share_are_refused() {
    let edge = Edge::start(4).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(edge.stream().await);
    }
    edge.get("/stream").await.expect("HTTP/1.1 503").await;
    streams.pop().unwrap().reset();
    let begun = Instant::now();
    loop {
        let mut client = edge.get("/stream").await;
        let mut status = [0; 12];
        client.0.read_exact(&mut status).await.unwrap();
        if status.ends_with(b"200") {
            break;
        }
        assert!(begun.elapsed() < WAIT_MAX, "the share of a client that left is not free again");
    }
}

#[tokio::test]
async fn a_long_lived_response_ends_before_a_new_client_is_refused() {
    let edge = Edge::start(4).await;
    let mut oldest = edge.stream().await;
    let mut others = [edge.stream().await, edge.stream().await];
    let mut busy = edge.get("/held").await;
    let mut new = edge.get("/plain").await;
    new.expect("plain").await;
    assert!(oldest.rest().await.unwrap().ends_with("bye\r\n0\r\n\r\n"));
    for other in &mut others {
        assert!(other.is_quiet().await);
    }
    edge.release.notify_one();
    busy.expect("held").await;
}

#[tokio::test]
async fn idle_connections_are_closed_before_a_long_lived_response() {
    let edge = Edge::start(2).await;
    let mut stream = edge.stream().await;
    for _ in 0..10 {
        edge.get("/plain").await.expect("plain").await;
    }
    let mut idle = edge.get("/plain").await;
    idle.expect("plain").await;
    edge.get("/plain").await.expect("plain").await;
    assert_eq!(idle.rest().await.unwrap(), "");
    assert!(stream.is_quiet().await);
}

#[tokio::test]
async fn a_stop_tells_long_lived_responses_at_once() {
    let edge = Edge::start(4).await;
    let mut stream = edge.stream().await;
    let mut late = edge.get("/late").await;
    edge.stop.cancel();
    assert!(stream.rest().await.unwrap().ends_with("bye\r\n0\r\n\r\n"));
    // One that begins after the stop is told as well.
    edge.release.notify_one();
    assert!(late.rest().await.unwrap().ends_with("bye\r\n0\r\n\r\n"));
    edge.stopped().await;
}

#[tokio::test]
async fn the_producer_of_a_response_learns_that_its_client_left() {
    let mut edge = Edge::start(4).await;
    let mut client = edge.get("/produced").await;
    client.expect("begun\r\n").await;
    assert!(edge.ended.try_recv().is_err());
    client.reset();
    timeout(WAIT_MAX, edge.ended.recv()).await.unwrap().unwrap().unwrap();
    // One whose client had sent all it had to say is no other case.
    let mut client = edge.get("/produced").await;
    client.expect("begun\r\n").await;
    client.0.shutdown().await.unwrap();
    assert!(client.is_quiet().await, "the end of the input ends no response");
    assert!(edge.ended.try_recv().is_err());
    client.reset();
    timeout(WAIT_MAX, edge.ended.recv()).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_long_lived_response_goes_on_after_the_end_of_the_input() {
    let edge = Edge::start(4).await;
    let mut stream = edge.stream().await;
    stream.0.shutdown().await.unwrap();
    assert!(stream.is_quiet().await);
    edge.stop.cancel();
    assert!(stream.rest().await.unwrap().ends_with("bye\r\n0\r\n\r\n"));
    edge.stopped().await;
}

#[tokio::test]
async fn a_closed_client_ends_its_response_at_the_next_write() {
    let mut edge = Edge::start(4).await;
    let mut client = edge.get("/produced").await;
    client.expect("begun\r\n").await;
    drop(client);
    edge.release.notify_one();
    timeout(WAIT_MAX, edge.ended.recv()).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_long_lived_response_that_goes_on_does_not_hold_up_a_stop() {
    let edge = Edge::start(4).await;
    let mut deaf = edge.get("/deaf").await;
    deaf.expect("begun").await;
    edge.stopped().await;
    assert!(!deaf.rest().await.is_ok_and(|rest| rest.contains("0\r\n\r\n")), "it looks whole");
}
