//! What clients do with connections, by mistake or on purpose.

use std::{
    future::Ready,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use facade_service::Listener;
use oncelog::message::{IdSource, MessageId, RandomIds};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    HELLO, POST, Plan, STREAMED, UPLOAD, World, client::Client, logging::Appends, until, within,
};

const SHORT: Duration = Duration::from_millis(200);

/// A facade whose limit of a head is short.
async fn hasty() -> World {
    Plan::limits(|limits| limits.header_read = SHORT).start().await
}

async fn assert_closed_in_time(mut client: Client) -> Vec<u8> {
    let begun = Instant::now();
    let sent = client.closed().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "closed after {:?}", begun.elapsed());
    sent
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let world = hasty().await;
    assert_eq!(assert_closed_in_time(world.connect().await).await, b"");
}

#[tokio::test]
async fn a_head_that_comes_slowly_is_given_up() {
    let world = hasty().await;
    let client = world.connect().await;
    let trickle = async {
        for byte in b"GET /healthz HTTP/1.1\r\nx-slow: ".iter().chain(&[b'a'; 200]) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if client.stream.try_write(&[*byte]).is_err() {
                return;
            }
        }
        panic!("the facade waited all the time");
    };
    within(trickle).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_last_answer() {
    let world = hasty().await;
    let mut client = world.send("GET /healthz", "").await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(assert_closed_in_time(client).await, b"");
}

#[tokio::test]
async fn the_limit_of_a_head_does_not_cut_a_long_answer() {
    let world = Plan::limits(|limits| limits.header_read = Duration::from_millis(50));
    let world = world.start().await;
    world.logging.on_append(Appends::Stall);
    let release = async {
        tokio::time::sleep(SHORT).await;
        world.logging.on_append(Appends::Store);
    };
    let (response, ()) = tokio::join!(world.post("", HELLO), release);
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_body_that_pauses_is_refused_and_not_stored() {
    let world = Plan::limits(|limits| limits.body_read = SHORT).start().await;
    let mut client = world.begin_post("content-length: 15").await;
    client.send("{\"msg\":").await;
    client.response().await.failure(408, Some("no"));
    assert_closed_in_time(client).await;
    assert_eq!(world.logging.records().len(), 0);
}

#[tokio::test]
async fn a_body_that_trickles_is_refused_and_not_stored() {
    let world = Plan::limits(|limits| limits.body_whole = SHORT).start().await;
    let mut client = world.begin_post("content-length: 1000").await;
    let trickle = async {
        while client.stream.try_write(b" ").is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(SHORT * 2, trickle).await;
    client.response().await.failure(408, Some("no"));
    assert_closed_in_time(client).await;
    assert_eq!(world.logging.records().len(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing() {
    let world = World::start().await;
    for framing in ["content-length: 100", "transfer-encoding: chunked"] {
        let mut client = world.begin_post(framing).await;
        client.send("f\r\n{\"msg\":\"hello\"}").await;
    }
    assert_eq!(world.post("", HELLO).await.status, 200);
    assert_eq!(world.logging.records().len(), 1);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = World::start().await;
    let large = format!("GET /healthz\nx-large: {}", "x".repeat(64 * 1024));
    assert_eq!(world.request(&large, "").await.status, 431);
    let many: String = (0..2000).map(|number| format!("\nx-{number}: 1")).collect();
    assert_eq!(world.request(&format!("GET /healthz{many}"), "").await.status, 431);
    let fits = format!("GET /healthz\nx-large: {}", "x".repeat(16 * 1024));
    assert_eq!(world.request(&fits, "").await.status, 200);
}

#[tokio::test]
async fn garbage_is_answered_or_closed_and_others_go_on() {
    let world = hasty().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0\0\0\0\0\0\0\0",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /facade HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /facade HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST /facade HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
        b"POST /facade HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"\r\n\r\n\r\n",
    ] {
        let mut client = world.connect().await;
        client.send(garbage).await;
        let answer = assert_closed_in_time(client).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"),
            "{} got {answer}", garbage.escape_ascii()
        );
    }
    assert_eq!(world.post("", HELLO).await.status, 200);
    assert_eq!(world.logging.records().len(), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::start().await;
    let mut client = world.connect().await;
    let posts: String = (0..50)
        .map(|number| {
            let body = format!("{{\"msg\":\"m{number:02}\"}}");
            format!(
                "POST /facade HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            )
        })
        .collect();
    client.send(posts).await;
    for sequence in 1..=50 {
        let response = client.response().await;
        assert_eq!(response.json()["sequence"], sequence);
    }
    let expected: Vec<_> = (0..50).map(|number| format!("m{number:02}")).collect();
    assert_eq!(world.logging.texts(), expected);
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_post_harms_no_other_client() {
    let world = World::start().await;
    world.logging.on_append(Appends::Stall);
    for _ in 0..20 {
        world.send(POST, HELLO).await;
    }
    world.logging.on_append(Appends::Store);
    assert_eq!(world.post("", HELLO).await.status, 200);
}

/// A connection that has been answered once.
async fn answered(world: &World) -> Client {
    let mut client = world.send("GET /healthz", "").await;
    assert_eq!(client.response().await.status, 200);
    client
}

#[tokio::test]
async fn the_longest_idle_connection_is_closed_for_a_new_client() {
    let world = Plan::limits(|limits| limits.connections = 3).start().await;
    let mut first = answered(&world).await;
    let mut second = answered(&world).await;
    let mut third = answered(&world).await;
    // No other client needs a slot: all three keep theirs.
    tokio::time::timeout(SHORT, first.closed()).await.unwrap_err();
    for client in [&mut first, &mut second, &mut third] {
        client.request("GET /healthz", "").await;
        assert_eq!(client.response().await.status, 200);
    }
    let _fourth = answered(&world).await;
    assert_eq!(assert_closed_in_time(first).await, b"");
    let _fifth = answered(&world).await;
    assert_eq!(assert_closed_in_time(second).await, b"");
}

#[tokio::test]
async fn unfinished_requests_do_not_keep_new_clients_out() {
    let world = Plan::limits(|limits| limits.connections = 3).start().await;
    let mut slow = Vec::new();
    for _ in 0..10 {
        let mut head = world.connect().await;
        head.send("POST /facade HTTP/1.1\r\nx-slow: ").await;
        let body = world.begin_post("content-length: 15").await;
        let upload = world.begin(UPLOAD).await;
        slow.extend([head, body, upload]);
    }
    assert_eq!(world.post("", HELLO).await.status, 200);
    assert_eq!(world.logging.records().len(), 1);
}

#[tokio::test]
async fn a_connection_with_a_request_under_way_is_not_evicted() {
    let world = Plan::limits(|limits| limits.connections = 2).start().await;
    world.logging.on_append(Appends::Stall);
    let busy = [world.send(POST, HELLO).await, world.send(POST, HELLO).await];
    let mut third = world.send("GET /healthz", "").await;
    tokio::time::timeout(SHORT, third.try_response()).await.unwrap_err();
    world.logging.on_append(Appends::Store);
    for mut client in busy {
        assert_eq!(client.response().await.status, 200);
    }
    assert_eq!(third.response().await.status, 200);
}

#[tokio::test]
async fn clients_that_left_their_uploads_keep_no_slots() {
    let world = Plan::limits(|limits| limits.connections = 2).start().await;
    world.logging.on_append(Appends::Stall);
    // More lines than may be under way: what comes after them is not read for now.
    let lines = "{\"msg\":\"a\"}\n".repeat(3_000);
    for _ in 0..2 {
        let mut client = world.begin(STREAMED).await;
        client.chunk(&lines).await;
        assert_eq!(client.response_head().await.unwrap().status, 200);
    }
    until("the lines are under way", async || world.logging.waiting() > 0).await;
    let begun = Instant::now();
    assert_eq!(world.get("/healthz", "").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "served after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_panic_ends_one_request_and_no_other() {
    struct Panics(AtomicUsize);
    impl IdSource for Panics {
        fn next_id(&self) -> MessageId {
            assert_ne!(self.0.fetch_add(1, Ordering::Relaxed), 0, "a panic for the test");
            RandomIds.next_id()
        }
    }
    let world = Plan { ids: Arc::new(Panics(AtomicUsize::new(0))), ..Plan::default() };
    let world = world.start().await;
    let mut client = world.connect().await;
    for status in [500, 200] {
        client.request(POST, HELLO).await;
        let response = client.response().await;
        assert_eq!(response.status, status, "{}", response.text());
        if status == 500 {
            response.failure(500, Some("unknown"));
        }
    }
}

/// Fails as a process without free descriptors does, then accepts.
struct Failing {
    listener: TcpListener,
    failures: AtomicUsize,
}

impl Listener for Failing {
    type Io = TcpStream;
    type Opening = Ready<io::Result<TcpStream>>;

    async fn accept(&self) -> io::Result<Self::Opening> {
        let number = self.failures.fetch_add(1, Ordering::Relaxed);
        match number {
            0 => Err(io::ErrorKind::ConnectionAborted.into()),
            1..4 => Err(io::Error::other("too many open files")),
            _ => Listener::accept(&self.listener).await,
        }
    }

    fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn reset(io: &TcpStream) {
        TcpListener::reset(io);
    }
}

#[tokio::test]
async fn errors_of_accept_do_not_end_the_service() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let failing = Failing { listener, failures: AtomicUsize::new(0) };
    let world = Plan::default().start_on(failing).await;
    assert_eq!(world.get("/healthz", "").await.status, 200);
    world.stop.cancel();
    world.stopped().await;
}
