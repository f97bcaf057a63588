//! Connections that go on with another protocol.

use std::io;

use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{Edge, WAIT_MAX};

#[tokio::test]
async fn an_upgraded_connection_is_told_of_a_stop() {
    let mut edge = Edge::start(4).await;
    let mut client = edge.upgrade("/echo").await;
    client.0.write_all(b"hello").await.unwrap();
    client.expect("hello").await;
    edge.stop.cancel();
    assert_eq!(client.rest().await.unwrap(), "bye");
    drop(client);
    edge.ended.recv().await.unwrap().unwrap();
    edge.stopped().await;
}

#[tokio::test]
async fn an_upgraded_connection_is_closed_for_a_new_client() {
    let edge = Edge::start(2).await;
    let mut client = edge.upgrade("/echo").await;
    let mut busy = edge.get("/held").await;
    assert!(client.is_quiet().await);
    let mut new = edge.get("/plain").await;
    assert_eq!(client.rest().await.unwrap(), "bye");
    drop(client);
    new.expect("plain").await;
    edge.release.notify_one();
    busy.expect("held").await;
}

#[tokio::test]
async fn an_upgraded_connection_that_goes_on_fails_after_a_stop() {
    for path in ["/deaf-echo", "/flood"] {
        let mut edge = Edge::start(4).await;
        let _client = edge.upgrade(path).await;
        edge.stop.cancel();
        let ended = timeout(WAIT_MAX, edge.ended.recv()).await.unwrap().unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        edge.stopped().await;
    }
}

#[tokio::test]
async fn a_slot_is_free_again_after_an_upgraded_connection() {
    let edge = Edge::start(2).await;
    for _ in 0..5 {
        let mut client = edge.upgrade("/echo").await;
        client.0.shutdown().await.unwrap();
        client.rest().await.unwrap_err();
    }
    edge.get("/plain").await.expect("plain").await;
}

#[tokio::test]
async fn an_upgrade_without_an_admission_is_a_failure() {
    let edge = Edge::start(4).await;
    edge.get("/unadmitted").await.expect("HTTP/1.1 500").await;
}

#[tokio::test]
async fn a_client_whose_offer_to_upgrade_is_refused_gets_its_response() {
    let edge = Edge::start(4).await;
    let offer = "connection: upgrade, close\r\nupgrade: x\r\n";
    let mut client = edge.request("/plain", offer).await;
    assert!(client.rest().await.unwrap().ends_with("plain"));
    // One whose client sends no more is closed after its response.
    let mut client = edge.request("/held", "connection: upgrade\r\nupgrade: x\r\n").await;
    client.0.shutdown().await.unwrap();
    assert!(client.is_quiet().await);
    edge.release.notify_one();
    assert!(client.rest().await.unwrap().ends_with("held"));
    // One that ends because of a stop arrives whole, too.
    let mut stream = edge.request("/stream", "connection: upgrade\r\nupgrade: x\r\n").await;
    stream.expect("begun\r\n").await;
    edge.stop.cancel();
    assert!(stream.rest().await.unwrap().ends_with("bye\r\n0\r\n\r\n"));
    edge.stopped().await;
}

#[tokio::test]
async fn review_untaken_leaks() {
    let edge = Edge::start(2).await;
    let mut _client = edge.upgrade("/untaken").await;
    let mut busy = edge.get("/held").await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let mut new = edge.get("/plain").await;
    new.expect("plain").await;
    edge.release.notify_one();
    busy.expect("held").await;
}

#[tokio::test]
async fn review_late_deaf() {
    let edge = Edge::start(4).await;
    let mut late = edge.get("/late-deaf").await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    edge.stop.cancel();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    edge.release.notify_one();
    late.expect("begun\r\n").await;
    edge.stopped().await;
}
