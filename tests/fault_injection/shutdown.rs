//! A stop in good order under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{Client, Scratch, Trio, eventually, process::STOP_TIMEOUT};

const CLIENTS: usize = 16;

/// The drain timeout of 10 s, and a second to end.
const STOP_TIME_MAX: Duration = Duration::from_secs(11);

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
    let mut trio = Trio::start(scratch.path()).await;
    let busy = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|name| tokio::spawn(post_until_refused(trio.client(), name, Arc::clone(&busy))))
        .collect();
    under_load(&busy).await;

    let started = Instant::now();
    assert_eq!(trio.facade.terminate().await, Some(0));
    let took = started.elapsed();
    assert!(took < STOP_TIME_MAX, "it took {took:?}");

    let mut stored = Vec::new();
    for client in clients {
        let told = client.await.unwrap();
        // A kept-alive connection may be closed just as the next request is written to it: such a
        // request was never accepted. One that was, and got no answer, would be stored.
        stored.extend(told.stored);
        for cut in told.cut {
            println!("closed under a new request: {cut}");
        }
    }
    trio.facade.restart().await;
    trio.ready().await;
    let mut logs = trio.client().logs().await;
    logs.sort_unstable();
    stored.sort_unstable();
    assert!(logs == stored, "answered {}, stored {}", stored.len(), logs.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_post_fails_while_the_logging_service_is_restarted_in_good_order() {
    let scratch = Scratch::new("logging-stop");
    let mut trio = Trio::start(scratch.path()).await;
    let busy = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|name| {
            let (client, busy, stop) = (trio.client(), Arc::clone(&busy), Arc::clone(&stop));
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
    assert_eq!(trio.logging.terminate().await, Some(0));
    let took = started.elapsed();
    assert!(took < STOP_TIME_MAX, "it took {took:?}");
    trio.logging.restart().await;
    busy.store(false, Ordering::Relaxed);
    under_load(&busy).await;
    stop.store(true, Ordering::Relaxed);

    let mut stored = 0;
    for client in clients {
        stored += client.await.unwrap();
    }
    assert_eq!(trio.client().logs().await.len(), stored);
}

async fn under_load(busy: &AtomicBool) {
    eventually("answers under load", STOP_TIMEOUT, async || {
        busy.load(Ordering::Relaxed).then_some(())
    })
    .await;
}
