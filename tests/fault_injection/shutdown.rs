//! A stop in good order under load.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use faultlab::cluster::Cluster;
use tokio::task::JoinHandle;

use crate::support::{Client, Scratch, client_of, eventually, start_cluster};

const CLIENTS: usize = 16;

/// From the start of the clients to a first receipt.
const LOAD_TIMEOUT: Duration = Duration::from_secs(20);

/// The drain timeout of 10 s, and a second to end.
const STOP_TIME_MAX: Duration = Duration::from_secs(11);

/// The same when something has to be cut after the drain timeout.
const STOP_TIME_WITH_CUT_MAX: Duration = Duration::from_secs(13);

/// Together more than all buffers between a service and a reader that does not read.
const LARGE_MESSAGES: usize = 12;
const LARGE_BYTES: usize = 1_000_000;

/// What one client was told.
#[derive(Debug, Default)]
struct Told {
    stored: Vec<String>,
    /// Requests that got no complete answer although their connection had been accepted.
    cut: Vec<String>,
}

/// Posts until the facade takes no more connections.
async fn post_until_refused(client: Client, name: usize, busy: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    for number in 0.. {
        let message = format!("client {name} message {number}");
        match client.post(&message, None).await {
            Ok(answer) if answer.status == 200 => {
                told.stored.push(message);
                busy.store(true, Ordering::Relaxed);
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{answer:?}");
                assert_eq!(answer.json()["stored"], "no", "{answer:?}");
            }
            Err(error) if error.is_connect() => break,
            Err(error) => {
                told.cut.push(format!("{message}: {error:?}"));
                break;
            }
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_facade_answers_every_post_it_has_accepted() {
    let scratch = Scratch::new("facade-stop");
    let mut cluster = start_cluster(scratch.path()).await;
    let busy = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|name| tokio::spawn(post_until_refused(client_of(&cluster), name, Arc::clone(&busy))))
        .collect();
    under_load(&busy).await;

    let started = Instant::now();
    assert_eq!(cluster.facade.stop().await.unwrap(), Some(0));
    let took = started.elapsed();
    assert!(took < STOP_TIME_MAX, "it took {took:?}");
    all_answered_are_stored(&mut cluster, clients, Vec::new()).await;
}

/// Beside `stored`, the log has exactly what was answered with a receipt.
async fn all_answered_are_stored(
    cluster: &mut Cluster,
    clients: Vec<JoinHandle<Told>>,
    mut stored: Vec<String>,
) {
    for client in clients {
        let told = client.await.unwrap();
        // A kept-alive connection may be closed just as the next request is written to it: such a
        // request was never accepted. One that was, and got no answer, would be stored.
        stored.extend(told.stored);
        for cut in told.cut {
            println!("closed under a new request: {cut}");
        }
    }
    cluster.facade.restart().await.unwrap();
    cluster.ready().await.unwrap();
    let mut logs = client_of(cluster).logs().await;
    logs.sort_unstable();
    stored.sort_unstable();
    assert!(logs == stored, "answered {}, stored {}", stored.len(), logs.len());
}

/// A log that does not fit into any buffer.
async fn large_log(client: &Client) -> Vec<String> {
    let mut stored = Vec::new();
    for number in 0..LARGE_MESSAGES {
        let message = format!("{number} {}", "x".repeat(LARGE_BYTES));
        client.post(&message, None).await.unwrap().expect(200);
        stored.push(message);
    }
    stored
}

/// Asks for the whole log, and reads no more than the beginning of it.
fn stuck_reader(facade: SocketAddr) -> TcpStream {
    let mut reader = TcpStream::connect(facade).unwrap();
    let request = "GET /facade HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n";
    reader.write_all(request.as_bytes()).unwrap();
    let mut beginning = [0; 15];
    reader.read_exact(&mut beginning).unwrap();
    assert_eq!(&beginning, b"HTTP/1.1 200 OK");
    reader
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_reader_does_not_hold_up_a_stopping_facade() {
    let scratch = Scratch::new("facade-stuck");
    let mut cluster = start_cluster(scratch.path()).await;
    let stored = large_log(&client_of(&cluster)).await;
    let _stuck = stuck_reader(cluster.facade_address());
    let busy = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|name| tokio::spawn(post_until_refused(client_of(&cluster), name, Arc::clone(&busy))))
        .collect();
    under_load(&busy).await;

    let started = Instant::now();
    assert_eq!(cluster.facade.stop().await.unwrap(), Some(0));
    let took = started.elapsed();
    assert!(took < STOP_TIME_WITH_CUT_MAX, "it took {took:?}");
    println!("a facade with a stuck reader stopped after {took:.1?}");
    all_answered_are_stored(&mut cluster, clients, stored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_stream_does_not_hold_up_a_stopping_log() {
    let scratch = Scratch::new("logging-stuck");
    let mut cluster = start_cluster(scratch.path()).await;
    let stored = large_log(&client_of(&cluster)).await;
    let stuck = stuck_reader(cluster.facade_address());
    // Its connection stays open, but is neither read nor answered.
    cluster.facade.freeze().unwrap();

    let started = Instant::now();
    assert_eq!(cluster.logging.stop().await.unwrap(), Some(0));
    let took = started.elapsed();
    assert!(took < STOP_TIME_WITH_CUT_MAX, "it took {took:?}");
    println!("a log with a stuck stream stopped after {took:.1?}");
    cluster.logging.restart().await.unwrap();
    cluster.facade.resume().unwrap();
    drop(stuck);
    cluster.ready().await.unwrap();
    assert!(client_of(&cluster).logs().await == stored, "not all is there");
    client_of(&cluster).post("it goes on", None).await.unwrap().expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_post_fails_during_a_restart_of_logging_in_good_order() {
    let scratch = Scratch::new("logging-stop");
    let mut cluster = start_cluster(scratch.path()).await;
    let busy = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|name| {
            let (client, busy, stop) = (client_of(&cluster), Arc::clone(&busy), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut stored = 0;
                while !stop.load(Ordering::Relaxed) {
                    let message = format!("client {name} message {stored}");
                    client.post(&message, None).await.unwrap().expect(200);
                    busy.store(true, Ordering::Relaxed);
                    stored += 1;
                }
                stored
            })
        })
        .collect();
    under_load(&busy).await;

    let started = Instant::now();
    assert_eq!(cluster.logging.stop().await.unwrap(), Some(0));
    let took = started.elapsed();
    assert!(took < STOP_TIME_MAX, "it took {took:?}");
    cluster.logging.restart().await.unwrap();
    busy.store(false, Ordering::Relaxed);
    under_load(&busy).await;
    stop.store(true, Ordering::Relaxed);

    let mut stored = 0;
    for client in clients {
        stored += client.await.unwrap();
    }
    assert_eq!(client_of(&cluster).logs().await.len(), stored);
}

async fn under_load(busy: &AtomicBool) {
    eventually("answers under load", LOAD_TIMEOUT, async || {
        busy.load(Ordering::Relaxed).then_some(())
    })
    .await;
}
