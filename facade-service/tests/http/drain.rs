//! Stopping.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::support::{
    HELLO, POST, Plan, WAIT_MAX, World,
    logging::{Appends, Reads},
    until, within,
};

#[tokio::test]
async fn a_stop_closes_idle_connections_and_finishes_requests() {
    let world = World::start().await;
    let mut idle = world.send("GET /healthz", "").await;
    assert_eq!(idle.response().await.status, 200);
    let mut silent = world.connect().await;
    world.logging.on_append(Appends::Stall);
    let mut busy = world.send(POST, HELLO).await;
    // Connections are accepted in order, so the stop meets all three.
    until("the message is under way", async || world.logging.waiting() == 1).await;

    world.stop.cancel();
    assert_eq!(idle.closed().await, b"");
    assert_eq!(silent.closed().await, b"");
    until("the port is closed", async || TcpStream::connect(world.addr).await.is_err()).await;
    world.logging.on_append(Appends::Store);
    let response = busy.response().await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(busy.closed().await, b"");
    world.stopped().await;
}

#[tokio::test]
async fn a_response_that_does_not_finish_is_closed_by_force() {
    let mut plan = Plan::limits(|limits| limits.drain = Duration::from_millis(200));
    plan.limits.reads.page_bytes = 1;
    let world = plan.start().await;
    world.logging.store_many(100, b"some text");
    world.logging.on_read(Reads::Stall(1));
    let mut reader = world.send("GET /facade", "").await;
    assert_eq!(within(reader.response_head()).await.unwrap().status, 200);
    let mut slow = world.connect().await;
    slow.send("GET /heal").await;

    let begun = Instant::now();
    world.stop.cancel();
    world.stopped().await;
    assert!(begun.elapsed() < WAIT_MAX / 4, "{:?}", begun.elapsed());
    let cut = async {
        while reader.response_chunk().await?.is_some() {}
        std::io::Result::Ok(())
    };
    assert!(within(cut).await.is_err(), "a response that broke off looks whole");
}

#[tokio::test]
async fn a_stop_under_load_loses_no_acknowledged_message() {
    let world = World::start().await;
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let addr = world.addr;
            tokio::spawn(async move {
                let mut acknowledged = 0;
                let mut client = crate::support::client::Client::connect(addr).await;
                loop {
                    client.try_request(POST, HELLO).await;
                    match client.try_response().await {
                        Ok(response) => {
                            assert_eq!(response.status, 200, "{}", response.text());
                            acknowledged += 1;
                            if response.header("connection") == Some("close") {
                                return acknowledged;
                            }
                        }
                        // Closed while idle: this request was not taken.
                        Err(_) => return acknowledged,
                    }
                }
            })
        })
        .collect();
    until("there is load", async || world.logging.records().len() > 500).await;
    world.stop.cancel();
    let mut acknowledged = 0;
    for client in clients {
        acknowledged += within(client).await.unwrap();
    }
    let logging = world.logging.clone();
    world.stopped().await;
    assert_eq!(logging.records().len(), acknowledged);
}
