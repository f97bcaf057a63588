//! Bodies that a handler did not read.

use tokio::io::AsyncWriteExt as _;

use super::Edge;

#[tokio::test]
async fn the_request_after_a_panic_is_answered() {
    let edge = Edge::start(2).await;
    let mut client = edge.request("/plain", "").await;
    client.expect("plain").await;
    for bytes in [1, 100_000, 2_000_000] {
        // The service panics at a path it does not know.
        let head = format!("GET /panics HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n");
        client.0.write_all(head.as_bytes()).await.unwrap();
        client.0.write_all(&vec![b'x'; bytes]).await.unwrap();
        client.0.write_all(b"GET /plain HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        client.expect("HTTP/1.1 500 ").await;
        client.expect("HTTP/1.1 200 ").await;
        client.expect("plain").await;
    }
}
