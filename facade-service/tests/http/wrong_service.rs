//! Another service is where the logging service should be.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{HELLO, Plan, World, messages::FakeMessages};

/// Answers whatever comes on each connection with `answer`, and closes it.
async fn answers(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    addr
}

async fn behind(addr: SocketAddr) -> World {
    Plan { logging_at: Some(addr), ..Plan::short_timeouts() }.start().await
}

/// All that is said of a service that is no logging service says so, and promises nothing.
async fn is_named(what: &str, addr: SocketAddr) {
    let world = behind(addr).await;
    for path in ["/facade", "/facade/0199c0de-0000-7000-8000-00000000abcd"] {
        let response = world.get(path, "accept: application/x-ndjson").await;
        let message = response.failure(503, None);
        assert_eq!(response.json()["code"], "logging_unavailable");
        assert!(message.contains("LOGGING_URL does not speak the contract"), "{what}: {message}");
        assert!(!message.contains("is lost") && !message.contains("try again"), "{message}");
    }
    let ready = world.get("/readyz", "").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["logging"]["state"], "wrong-service", "{what}: {}", ready.text());
    let reason = ready.json()["reasons"][0].as_str().unwrap().to_owned();
    assert!(reason.contains("LOGGING_URL does not speak the contract"), "{what}: {reason}");
    let post = world.post("", HELLO).await;
    assert!(post.status == 503 || post.status == 504, "{what}: {}", post.text());
}

#[tokio::test]
async fn another_grpc_service_at_the_logging_url_is_named() {
    is_named("the messages service", FakeMessages::default().serve().await).await;
    let post = behind(FakeMessages::default().serve().await).await.post("", HELLO).await;
    let message = post.failure(503, Some("no"));
    assert!(message.contains("LOGGING_URL"), "{message}");
}

#[tokio::test]
async fn a_server_of_http_1_at_the_logging_url_is_named() {
    let plain = "HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\nwhat";
    is_named("a server of HTTP/1.1", answers(plain).await).await;
}

#[tokio::test]
async fn a_connection_that_closes_at_once_proves_no_other_service() {
    // As a facade does with HTTP/2, and a logging service that is being stopped.
    for addr in [answers("").await, World::start().await.addr] {
        let world = behind(addr).await;
        let message = world.get("/facade", "").await.failure(503, None);
        assert!(message.contains("the logging-service cannot be read now: "), "{message}");
        assert!(!message.contains("is lost"), "{message}");
        let ready = world.get("/readyz", "").await.json();
        assert_eq!(ready["logging"]["state"], "unreachable");
        let reason = ready["reasons"][0].as_str().unwrap();
        assert!(reason.contains("no logging-service can be reached at LOGGING_URL"), "{reason}");
    }
}
