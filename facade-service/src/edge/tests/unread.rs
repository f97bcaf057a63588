//! Bodies that a handler did not read.

use std::sync::Arc;

use oncelog::message::RandomIds;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::{Client, Edge};
use crate::{Facade, Options, Upstreams, serve};

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

#[tokio::test]
async fn the_request_after_one_too_many_is_answered() {
    let options = Options::new(Arc::new(RandomIds));
    let facade = Facade::new(Upstreams::unreachable(), options, CancellationToken::new());
    let limits = facade.limits();
    let _bodies = facade.body_budget().try_acquire_many(limits.bodies_bytes as u32).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = Client(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
    tokio::spawn(serve(listener, facade.clone()));
    for bytes in [100_000, 900_000] {
        let head = format!(
            "POST /facade HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             content-length: {bytes}\r\n\r\n"
        );
        client.0.write_all(head.as_bytes()).await.unwrap();
        client.0.write_all(&vec![b' '; bytes]).await.unwrap();
        client.0.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        client.expect("HTTP/1.1 503 ").await;
        client.expect("HTTP/1.1 200 ").await;
    }
}
