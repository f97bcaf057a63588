//! What the proxy does to connections, seen from both of their ends.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use faultlab::proxy::{Cut, Direction, Mode, Proxy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);

/// Long enough for bytes to arrive, if they were to arrive.
const A_WHILE: Duration = Duration::from_millis(100);

struct Pair {
    proxy: Proxy,
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

async fn pair() -> Pair {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let (client, server) = connect(&proxy, &listener).await;
    Pair { proxy, listener, client, server }
}

async fn connect(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = timeout(LONG, listener.accept()).await.unwrap().unwrap();
    // The proxy moves bytes of this connection: orders that follow concern it.
    if proxy.connections() == 1 {
        say(&mut client, b"hi").await;
        hear(&mut server, b"hi").await;
    }
    (client, server)
}

async fn say(stream: &mut TcpStream, words: &[u8]) {
    stream.write_all(words).await.unwrap();
}

#[track_caller]
fn expect(heard: &[u8], words: &[u8]) {
    assert_eq!(String::from_utf8_lossy(heard), String::from_utf8_lossy(words));
}

async fn hear(stream: &mut TcpStream, words: &[u8]) {
    let mut heard = vec![0; words.len()];
    timeout(LONG, stream.read_exact(&mut heard)).await.unwrap().unwrap();
    expect(&heard, words);
}

async fn hear_nothing(stream: &mut TcpStream) {
    let heard = timeout(A_WHILE, stream.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// All that still comes, and how it ends.
async fn rest(stream: &mut TcpStream) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut heard = Vec::new();
    let end = timeout(LONG, stream.read_to_end(&mut heard)).await.unwrap();
    (heard, end.map(|_| ()).map_err(|error| error.kind()))
}

#[tokio::test]
async fn bytes_go_through_in_both_directions_and_so_does_the_end() {
    let Pair { proxy: _proxy, mut client, mut server, .. } = pair().await;
    say(&mut client, b"question").await;
    hear(&mut server, b"question").await;
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut server).await, (Vec::new(), Ok(())));
    // Half a connection still works.
    say(&mut server, b"answer").await;
    drop(server);
    assert_eq!(rest(&mut client).await, (b"answer".to_vec(), Ok(())));
}

#[tokio::test]
async fn delayed_bytes_arrive_later() {
    let Pair { proxy, mut client, mut server, .. } = pair().await;
    proxy.set_mode(Mode::Delay(A_WHILE));
    let sent = Instant::now();
    say(&mut client, b"slow").await;
    hear(&mut server, b"slow").await;
    assert!(sent.elapsed() >= A_WHILE, "{:?}", sent.elapsed());
}

#[tokio::test]
async fn each_connection_has_a_wait_that_follows_from_the_seed() {
    let mut orders = Vec::new();
    for _ in 0..2 {
        let Pair { proxy, listener, client, server } = pair().await;
        let mut pairs = vec![(client, server)];
        for _ in 0..3 {
            pairs.push(connect(&proxy, &listener).await);
        }
        proxy.set_mode(Mode::Scatter { max: A_WHILE * 10, seed: 10 });
        for (client, _) in &mut pairs {
            say(client, b"!").await;
        }
        let heard = pairs.iter_mut().enumerate().map(|(number, (_, server))| async move {
            hear(server, b"!").await;
            (number, Instant::now())
        });
        let mut heard = futures_util::future::join_all(heard).await;
        heard.sort_by_key(|(_, at)| *at);
        orders.push(heard.into_iter().map(|(number, _)| number).collect::<Vec<_>>());
    }
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[0], [0, 1, 2, 3], "what was sent first arrived first");
}

#[tokio::test]
async fn throttled_bytes_arrive_at_the_rate_they_may_have() {
    let Pair { proxy, mut client, mut server, .. } = pair().await;
    proxy.set_mode(Mode::Throttle { bytes_per_second: 1000 });
    let sent = Instant::now();
    say(&mut client, &[b'.'; 200]).await;
    hear(&mut server, &[b'.'; 200]).await;
    assert!(sent.elapsed() >= Duration::from_millis(190), "{:?}", sent.elapsed());
    // The rest of a piece does not stay behind.
    say(&mut client, &[b'.'; 10_000]).await;
    hear(&mut server, b"..........").await;
    proxy.set_mode(Mode::Pass);
    let released = Instant::now();
    hear(&mut server, &[b'.'; 9_990]).await;
    assert!(released.elapsed() < Duration::from_secs(5), "{:?}", released.elapsed());
}

#[tokio::test]
async fn held_bytes_all_arrive_on_release_and_the_connection_lives_on() {
    let Pair { proxy, listener, mut client, mut server } = pair().await;
    proxy.set_mode(Mode::Hold);
    say(&mut client, b"one ").await;
    say(&mut server, b"answer").await;
    let (mut late, mut late_server) = connect(&proxy, &listener).await;
    say(&mut late, b"late").await;
    late.shutdown().await.unwrap();
    tokio::join!(
        hear_nothing(&mut client),
        hear_nothing(&mut server),
        hear_nothing(&mut late_server)
    );
    say(&mut client, b"two").await;
    proxy.set_mode(Mode::Pass);
    hear(&mut server, b"one two").await;
    hear(&mut client, b"answer").await;
    assert_eq!(rest(&mut late_server).await, (b"late".to_vec(), Ok(())));
    say(&mut client, b" three").await;
    hear(&mut server, b" three").await;
}

#[tokio::test]
async fn a_black_hole_takes_both_directions_and_the_connection() {
    let Pair { proxy, listener, mut client, mut server } = pair().await;
    proxy.set_mode(Mode::BlackHole);
    say(&mut client, b"x").await;
    say(&mut server, b"y").await;
    tokio::join!(hear_nothing(&mut client), hear_nothing(&mut server));
    proxy.set_mode(Mode::Pass);
    assert_eq!(rest(&mut client).await, (Vec::new(), Err(ErrorKind::ConnectionReset)));
    assert_eq!(rest(&mut server).await, (Vec::new(), Err(ErrorKind::ConnectionReset)));

    let (mut client, mut server) = connect(&proxy, &listener).await;
    say(&mut client, b"again").await;
    hear(&mut server, b"again").await;
}

#[tokio::test]
async fn dropped_replies_are_lost_after_their_request_has_passed() {
    let Pair { proxy, mut client, mut server, .. } = pair().await;
    proxy.set_mode(Mode::DropReplies);
    say(&mut client, b"request").await;
    hear(&mut server, b"request").await;
    say(&mut server, b"reply").await;
    hear_nothing(&mut client).await;
    proxy.set_mode(Mode::Pass);
    assert_eq!(rest(&mut client).await, (Vec::new(), Err(ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn dropped_requests_are_lost_while_replies_still_arrive() {
    let Pair { proxy, mut client, mut server, .. } = pair().await;
    proxy.set_mode(Mode::DropRequests);
    say(&mut client, b"request").await;
    hear_nothing(&mut server).await;
    say(&mut server, b"reply").await;
    hear(&mut client, b"reply").await;
    proxy.set_mode(Mode::Pass);
    assert_eq!(rest(&mut server).await, (Vec::new(), Err(ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn nothing_follows_lost_bytes_or_a_lost_end_of_a_stream() {
    let Pair { proxy, listener, mut client, mut server } = pair().await;
    let (mut other, mut other_server) = connect(&proxy, &listener).await;
    proxy.set_mode(Mode::BlackHole);
    say(&mut client, b"lost").await;
    other.shutdown().await.unwrap();
    tokio::join!(hear_nothing(&mut server), hear_nothing(&mut other_server));
    proxy.set_mode(Mode::Delay(Duration::ZERO));
    say(&mut client, b"behind a hole").await;
    tokio::join!(hear_nothing(&mut server), hear_nothing(&mut other_server));
    proxy.set_mode(Mode::Pass);
    assert_eq!(rest(&mut server).await, (Vec::new(), Err(ErrorKind::ConnectionReset)));
    assert_eq!(rest(&mut other_server).await, (Vec::new(), Err(ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn half_a_cut_ends_one_direction_and_resets_its_sender() {
    let Pair { proxy, mut client, mut server, .. } = pair().await;
    proxy.cut(Cut::Half(Direction::Requests));
    assert_eq!(rest(&mut server).await, (Vec::new(), Ok(())));
    say(&mut server, b"answer").await;
    hear(&mut client, b"answer").await;
    say(&mut client, b"more").await;
    assert_eq!(rest(&mut client).await, (Vec::new(), Err(ErrorKind::ConnectionReset)));

    let Pair { proxy, mut client, mut server, .. } = pair().await;
    proxy.cut(Cut::Half(Direction::Replies));
    assert_eq!(rest(&mut client).await, (Vec::new(), Ok(())));
    say(&mut client, b"question").await;
    hear(&mut server, b"question").await;
    say(&mut server, b"answer").await;
    assert_eq!(rest(&mut server).await, (Vec::new(), Err(ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn a_cut_in_good_order_ends_both_sides_and_new_connections_work() {
    let Pair { proxy, listener, mut client, mut server } = pair().await;
    proxy.cut(Cut::End);
    assert_eq!(rest(&mut client).await, (Vec::new(), Ok(())));
    assert_eq!(rest(&mut server).await, (Vec::new(), Ok(())));
    let (mut client, mut server) = connect(&proxy, &listener).await;
    say(&mut client, b"again").await;
    hear(&mut server, b"again").await;
}

#[tokio::test]
async fn a_reset_comes_after_the_very_byte_it_was_ordered_for() {
    for after_bytes in [0, 1, 5] {
        let Pair { proxy, mut client, mut server, .. } = pair().await;
        proxy.cut(Cut::Reset { after_bytes });
        let _ = client.write_all(b"0123456789").await;
        let mut passed = Vec::new();
        let end = loop {
            match timeout(LONG, server.read_u8()).await.unwrap() {
                Ok(byte) => passed.push(byte),
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(end, ErrorKind::ConnectionReset, "after {after_bytes}");
        // A reset may overtake bytes that are not read yet, but never lets more through.
        assert!(passed.len() as u64 <= after_bytes, "{passed:?} after {after_bytes}");
        assert!(b"0123456789".starts_with(&passed));
        assert_eq!(rest(&mut client).await.1, Err(ErrorKind::ConnectionReset));
    }
}

#[tokio::test]
async fn new_connections_go_to_the_new_target() {
    let Pair { proxy, mut client, mut server, .. } = pair().await;
    let moved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    proxy.retarget(moved.local_addr().unwrap());
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut other, _) = timeout(LONG, moved.accept()).await.unwrap().unwrap();
    say(&mut second, b"new").await;
    hear(&mut other, b"new").await;
    say(&mut client, b"old").await;
    hear(&mut server, b"old").await;
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_connections() {
    let Pair { proxy, mut client, .. } = pair().await;
    drop(proxy);
    assert_eq!(rest(&mut client).await, (Vec::new(), Ok(())));
}
