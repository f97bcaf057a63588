//! The generator against a server that does as it is told.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{Arrivals, Counts, Fate, Measured, Plan};

const STORED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 79\r\n\r\n{\"status\":\"success\",\
                      \"uuid\":\"0199c0de-0000-7000-8000-00000000abcd\",\"sequence\":7}";
const STRANGE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const REFUSED: &str =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 15\r\n\r\n{\"stored\":\"no\"}";

/// How late the answer to the `n`-th request of a connection is, and what it is. No answer is the end of
/// the connection.
type Answering = fn(u64) -> (Duration, Option<&'static str>);

async fn serve(mut stream: TcpStream, answer: Answering) {
    let mut piece = [0; 4096];
    let mut number = 0;
    while matches!(stream.read(&mut piece).await, Ok(1..)) {
        let (pause, answer) = answer(number);
        tokio::time::sleep(pause).await;
        let Some(answer) = answer else { return };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        number += 1;
    }
}

/// A server, and where it is.
async fn start(answer: Answering) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer));
        }
    });
    (target, accepting)
}

async fn run(arrivals: Arrivals, connections: usize, answer: Answering) -> Measured {
    let (target, accepting) = start(answer).await;
    let plan = Plan::new(target, arrivals, Duration::from_millis(500), connections);
    let measured = plan.run().await.unwrap();
    accepting.abort();
    measured
}

#[tokio::test]
async fn every_message_that_was_due_in_a_stall_is_slow() {
    let stall_at_ten = |number| match number {
        10 => (Duration::from_millis(300), Some(STORED)),
        _ => (Duration::ZERO, Some(STORED)),
    };
    let measured = run(Arrivals::Open { per_second: 200.0 }, 1, stall_at_ten).await;
    assert_eq!(measured.count(Fate::Accepted), 100);
    // A third of all was due within 200 ms of the stall; a generator that waits for answers would
    // have seen one slow message.
    assert!(measured.accepted.quantile(0.7) > Duration::from_millis(50), "{measured}");
    assert!(measured.lateness.max() > Duration::from_millis(200), "{measured}");
}

#[tokio::test]
async fn an_open_loop_sends_what_is_due_however_slow_the_answers_are() {
    let slow = |_| (Duration::from_millis(100), Some(STORED));
    let measured = run(Arrivals::Open { per_second: 400.0 }, 200, slow).await;
    assert_eq!(measured.count(Fate::Accepted), 200);
    assert!(measured.sent_per_second() > 300.0, "{measured}");
    assert!(measured.accepted.quantile(0.5) >= Duration::from_millis(99), "{measured}");
}

#[tokio::test]
async fn a_closed_loop_sends_when_the_last_answer_is_there() {
    let slow = |_| (Duration::from_millis(50), Some(STORED));
    let measured = run(Arrivals::Closed, 4, slow).await;
    let accepted = measured.count(Fate::Accepted);
    assert!((4..=40).contains(&accepted), "{measured}");
}

#[tokio::test]
async fn refusals_and_broken_connections_are_told_apart() {
    let third_breaks = |number| match number % 3 {
        0 => (Duration::ZERO, Some(STORED)),
        1 => (Duration::ZERO, Some(REFUSED)),
        _ => (Duration::ZERO, None),
    };
    let measured = run(Arrivals::Open { per_second: 200.0 }, 1, third_breaks).await;
    let counts =
        [Fate::Accepted, Fate::Refused, Fate::Unknown, Fate::NotSent].map(|it| measured.count(it));
    assert_eq!(counts, [34, 33, 33, 0]);
    assert_eq!((measured.errors, measured.without_retry_after), (33, 33));
    assert_eq!(measured.statuses.get(&503), Some(&33));
}

#[tokio::test]
async fn a_strange_answer_is_no_receipt() {
    let odd_are_strange = |number| match number % 2 {
        0 => (Duration::ZERO, Some(STORED)),
        _ => (Duration::ZERO, Some(STRANGE)),
    };
    let measured = run(Arrivals::Open { per_second: 200.0 }, 1, odd_are_strange).await;
    let expected = Counts { accepted: 50, not_understood: 50, ..Counts::default() };
    assert_eq!(measured.counts, expected);
    assert_eq!(measured.accepted.count(), 50);
}

#[tokio::test]
async fn a_run_that_is_ended_early_has_sent_what_was_due_until_then() {
    let (target, accepting) = start(|_| (Duration::ZERO, Some(STORED))).await;
    for arrivals in [Arrivals::Open { per_second: 1000.0 }, Arrivals::Closed] {
        let plan = Plan::new(target, arrivals, Duration::from_secs(3600), 2);
        let mut running = plan.start().await.unwrap();
        while running.counts().accepted < 100 {
            tokio::task::yield_now().await;
        }
        running.stop();
        running.settled().await.unwrap();
        let measured = running.measured();
        let sent = measured.counts.sent();
        assert!(sent >= 100 && sent == measured.counts.accepted, "{measured}");
        assert_eq!(sent + measured.counts.not_sent, measured.end(), "{measured}");
        assert!(measured.took < Duration::from_secs(60), "{measured}");
    }
    accepting.abort();
}

#[tokio::test]
async fn messages_are_sent_when_they_are_due() {
    let at_once = |_| (Duration::ZERO, Some(STORED));
    let measured = run(Arrivals::Open { per_second: 100.0 }, 4, at_once).await;
    assert_eq!(measured.counts.accepted, 50);
    // A timer that counts milliseconds is later than that as often as not.
    assert!(measured.lateness.quantile(0.1) < Duration::from_micros(500), "{measured}");
}
