//! The logging service is away for a while.

use std::time::Duration;

use crate::support::{
    Scratch, client_of, eventually, restart_logging, start_cluster, start_cluster_with, unready,
};

#[tokio::test]
async fn a_post_during_an_outage_succeeds_once_logging_is_back() {
    let (_scratch, mut cluster, client) = start_cluster("outage").await;
    client.post("before", None).await.unwrap().expect(200);
    assert_eq!(cluster.logging.stop().await.unwrap(), Some(0));

    let waiting = tokio::spawn(async move { client.post("during", Some("the-key")).await });
    eventually("three retry lines", Duration::from_secs(10), async || {
        (cluster.facade.stderr_with("retrying attempt=").len() >= 3).then_some(())
    })
    .await;
    assert!(!waiting.is_finished(), "answered while nothing could be stored");
    cluster.logging.restart().await.unwrap();
    let answer = waiting.await.unwrap().unwrap().expect(200);
    assert_eq!(answer.json()["sequence"], 2);

    assert_eq!(client_of(&cluster).logs().await, ["before", "during"]);
    let lines = cluster.facade.stderr_with("retrying attempt=");
    for (attempt, line) in (2..).zip(&lines) {
        assert!(is_retry_line(line, attempt), "an operator cannot read this: {line}");
    }
}

/// `retrying attempt=2 delay=93ms error=…`
fn is_retry_line(line: &str, attempt: usize) -> bool {
    let Some((_, rest)) = line.split_once(&format!("retrying attempt={attempt} delay=")) else {
        return false;
    };
    let Some((delay, error)) = rest.split_once("ms error=") else { return false };
    line.contains("WARN") && delay.parse::<u64>().is_ok() && error.len() > 10
}

#[tokio::test]
async fn a_long_outage_is_answered_honestly_and_in_time() {
    let scratch = Scratch::new("long-outage");
    let timeouts = ["--attempt-timeout", "200ms", "--total-timeout", "1s"];
    let mut cluster = start_cluster_with(scratch.path(), &timeouts, &[]).await;
    let client = client_of(&cluster);

    // Frozen, the service may have taken what it was sent: only "unknown" is honest.
    cluster.logging.freeze().unwrap();
    let unknown = client.post("frozen", None).await.unwrap().expect(504).json();
    assert_eq!((&unknown["status"], &unknown["stored"]), (&"failure".into(), &"unknown".into()));
    let uuid = unknown["uuid"].as_str().unwrap();
    cluster.logging.resume().unwrap();
    cluster.ready().await.unwrap();
    let settled = client.post("frozen", Some(uuid)).await.unwrap().expect(200).json();
    assert_eq!(settled["uuid"], uuid);

    // Gone, and known to be gone, it cannot have taken anything. An attempt on a connection that
    // breaks under it would be unknown.
    cluster.logging.kill().unwrap();
    unready(&client).await;
    let started = std::time::Instant::now();
    let gone = client.post("gone", None).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "waited {:?}", started.elapsed());
    assert_eq!(gone.clone().expect(503).json()["stored"], "no");
    assert!(!gone.header("retry-after").is_empty(), "{gone:?}");
    restart_logging(&mut cluster).await;
    assert_eq!(client.logs().await, ["frozen"]);
}

#[tokio::test]
async fn readiness_tells_what_is_missing_and_comes_back() {
    let (_scratch, mut cluster, client) = start_cluster("readiness").await;
    cluster.logging.kill().unwrap();
    let reason = unready(&client).await;
    assert!(reason.contains("logging"), "{reason}");
    client.get("/healthz").await.unwrap().expect(200);
    restart_logging(&mut cluster).await;
}
