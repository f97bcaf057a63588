//! The generator against a server that does as it is told.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{Arrivals, Fate, Measured, Plan};

const STORED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const REFUSED: &str =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 15\r\n\r\n{\"stored\":\"no\"}";

/// Serves one connection: the answer to the `n`-th request is `answer(n)`, late by that long. No
/// answer is the end of it.
async fn serve(mut stream: TcpStream, answer: fn(u64) -> (Duration, Option<&'static str>)) {
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

async fn run(
    arrivals: Arrivals,
    connections: usize,
    answer: fn(u64) -> (Duration, Option<&'static str>),
) -> Measured {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer));
        }
    });
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
