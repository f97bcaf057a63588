//! `POST /facade/batch`.

use std::time::Duration;

use facade_service::UploadLimits;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{
    Plan, STREAMED, TRIES_UNTIL_SURE, UPLOAD, World, client::Client, logging::Appends, until,
    within,
};

async fn next_outcome(client: &mut Client) -> Value {
    let chunk = within(client.response_chunk()).await.unwrap().expect("the answer has ended");
    serde_json::from_slice(&chunk).expect("one line")
}

#[tokio::test]
async fn every_line_has_its_outcome_in_order() {
    let world = World::start().await;
    let upload = [
        r#"{"msg":"one"}"#,
        "",
        r#"{"msg":"two","key":"k"}"#,
        "nonsense",
        r#"{"msg":"two","key":"k"}"#,
        r#"{"msg":"other","key":"k"}"#,
        "  ",
        r#"{"msg":""}"#,
        r#"{"msg":"last","key":"two words"}"#,
        r#"{"msg":"three"}"#,
    ]
    .join("\n");
    let response = world.request(UPLOAD, upload).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/x-ndjson"));
    let lines = response.lines();
    let found: Vec<_> = lines
        .iter()
        .map(|line| (line["status"].as_str().unwrap(), line["line"].as_u64()))
        .collect();
    assert_eq!(
        found,
        [
            ("success", None),
            ("success", None),
            ("failure", Some(4)),
            ("success", None),
            ("failure", Some(6)),
            ("failure", Some(8)),
            ("failure", Some(9)),
            ("success", None),
        ]
    );
    assert_eq!(lines[3]["replayed"], true);
    assert_eq!(lines[3]["sequence"], lines[1]["sequence"]);
    assert!(lines[0].get("replayed").is_none());
    assert!(lines.iter().all(|line| line["status"] == "success" || line["stored"] == "no"));
    let mut stored = world.logging.texts();
    stored.sort_unstable();
    assert_eq!(stored, ["one", "three", "two"]);
}

#[tokio::test]
async fn outcomes_arrive_while_lines_are_still_sent() {
    let world = World::start().await;
    let mut client = world.begin(STREAMED).await;
    assert_eq!(within(client.response_head()).await.unwrap().status, 200);
    for sequence in 1..=3 {
        client.chunk(format!("{{\"msg\":\"m{sequence}\"}}\n")).await;
        assert_eq!(next_outcome(&mut client).await["sequence"], sequence);
    }
    client.chunk("{\"msg\":\"without a line break\"}").await;
    client.chunk("").await;
    assert_eq!(next_outcome(&mut client).await["sequence"], 4);
    assert_eq!(within(client.response_chunk()).await.unwrap(), None);
}

#[tokio::test]
async fn a_refused_line_does_not_wait_for_lines_that_came_with_it() {
    let world = World::start().await;
    world.logging.on_append(Appends::Stall);
    let mut client = world.begin(STREAMED).await;
    within(client.response_head()).await.unwrap();
    client.chunk("nonsense\n{\"msg\":\"a\"}\nmore nonsense\n").await;
    assert_eq!(next_outcome(&mut client).await["line"], 1);
}

#[tokio::test]
async fn more_lines_than_may_be_in_flight_have_outcomes_in_order() {
    let world = World::start().await;
    let lines = UploadLimits::default().in_flight * 2 + 1;
    let blank_and_bad = "\n\nnonsense\n";
    let upload: String =
        (0..lines).map(|n| format!("{{\"msg\":\"m{n}\"}}\n{blank_and_bad}")).collect();
    let outcomes = world.request(UPLOAD, upload).await.lines();
    assert_eq!(outcomes.len(), 2 * lines);
    for (nth, pair) in (0..).zip(outcomes.chunks(2)) {
        assert_eq!(pair[0]["sequence"], nth + 1);
        assert_eq!(pair[1]["line"], 4 * nth + 4);
    }
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it_first() {
    let world = World::start().await;
    let mut client = world.begin(&format!("{STREAMED}\nexpect: 100-continue")).await;
    assert_eq!(within(client.response_head()).await.unwrap().status, 100);
    client.chunk("{\"msg\":\"a\"}\n").await;
    client.chunk("").await;
    let response = client.response().await;
    assert_eq!(response.status, 200);
    assert_eq!(response.lines().len(), 1);
}

#[tokio::test]
async fn a_line_that_is_too_long_fails_alone() {
    let world = World::start().await;
    let long = "x".repeat(1024 * 1024);
    let upload = format!("{{\"msg\":\"a\"}}\n{{\"msg\":\"{long}\"}}\n{{\"msg\":\"b\"}}\n");
    let lines = world.request(UPLOAD, upload).await.lines();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[1]["status"], &lines[1]["line"]), (&json!("failure"), &json!(2)));
    assert_eq!(lines[1]["stored"], "no");
    assert_eq!(world.logging.records().len(), 2);
}

#[tokio::test]
async fn many_lines_are_stored_once_each() {
    let world = World::start().await;
    let upload: String =
        (0..3000).map(|n| format!("{{\"msg\":\"m{n}\",\"key\":\"k{n}\"}}\n")).collect();
    for replayed in [Value::Null, json!(true)] {
        let lines = world.request(UPLOAD, &upload).await.lines();
        assert_eq!(lines.len(), 3000);
        assert!(
            lines.iter().all(|line| line["status"] == "success" && line["replayed"] == replayed)
        );
    }
    assert_eq!(world.logging.records().len(), 3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_stored_in_its_order() {
    let world = World::start().await;
    let texts: Vec<_> = (0..3000).map(|number| format!("m{number}")).collect();
    let upload: String = texts.iter().map(|text| format!("{{\"msg\":\"{text}\"}}\n")).collect();
    world.request(UPLOAD, &upload).await;
    assert_eq!(world.logging.texts(), texts);
}

/// Sends lines until no more are taken, and returns how many bytes were.
async fn fill(client: &mut Client) -> usize {
    let line = format!("{{\"msg\":\"{}\"}}\n", "x".repeat(64 * 1024));
    let framed = format!("{:x}\r\n{line}\r\n", line.len());
    let mut sent = 0;
    let stalled = Duration::from_millis(500);
    while let Ok(written) =
        tokio::time::timeout(stalled, client.stream.write_all(framed.as_bytes())).await
    {
        written.unwrap();
        sent += framed.len();
        assert!(sent < 256 * 1024 * 1024, "everything is taken in");
    }
    sent
}

#[tokio::test]
async fn an_upload_waits_for_the_log_and_does_not_fill_memory() {
    let world = World::start().await;
    world.logging.on_append(Appends::Stall);
    let mut client = world.begin(STREAMED).await;
    let sent = fill(&mut client).await;
    // What the sockets hold, beside the budget of uploads.
    let sockets = 16 * 1024 * 1024;
    assert!(sent < UploadLimits::default().bytes + sockets, "{sent} bytes were taken in");
    drop(client);
    world.logging.on_append(Appends::Store);
    assert_eq!(world.post("", r#"{"msg":"others go on"}"#).await.status, 200);
}

#[tokio::test]
async fn an_upload_that_breaks_off_delivers_the_lines_that_arrived() {
    let world = World::start().await;
    let mut client = world.begin(STREAMED).await;
    client.chunk("{\"msg\":\"a\"}\n{\"msg\":\"b\"}\n{\"msg\":\"half\"}").await;
    drop(client);
    until("both lines are stored", async || world.logging.records().len() == 2).await;
    assert_eq!(world.post("", r#"{"msg":"c"}"#).await.status, 200);
    let mut stored = world.logging.texts();
    stored.sort_unstable();
    assert_eq!(stored, ["a", "b", "c"]);
}

#[tokio::test]
async fn an_upload_that_pauses_too_long_is_ended_with_a_reason() {
    let plan = Plan::limits(|limits| limits.body_read = Duration::from_millis(100));
    let world = plan.start().await;
    let mut client = world.begin(STREAMED).await;
    client.chunk("{\"msg\":\"a\"}\n").await;
    let response = client.response().await;
    let lines = response.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["status"], "success");
    assert_eq!((&lines[1]["line"], &lines[1]["stored"]), (&json!(2), &json!("no")));
}

#[tokio::test]
async fn an_upload_that_a_stop_ends_says_where() {
    let world = World::start().await;
    let mut client = world.begin(STREAMED).await;
    client.chunk("{\"msg\":\"a\"}\n").await;
    within(client.response_head()).await.unwrap();
    assert_eq!(next_outcome(&mut client).await["status"], "success");
    world.stop.cancel();
    let ended = next_outcome(&mut client).await;
    assert_eq!((&ended["line"], &ended["stored"]), (&json!(2), &json!("no")));
    assert_eq!(within(client.response_chunk()).await.unwrap(), None);
    world.stopped().await;
}

#[tokio::test]
async fn only_lines_of_json_are_taken_and_keys_belong_into_them() {
    let world = World::start().await;
    for headers in ["content-type: application/json", "content-type: application/json-seq", "a: b"]
    {
        let request = format!("POST /facade/batch\n{headers}");
        world.request(&request, "{\"msg\":\"a\"}\n").await.failure(415, Some("no"));
    }
    let keyed = format!("{UPLOAD}\nidempotency-key: k");
    world.request(&keyed, "{\"msg\":\"a\"}\n").await.failure(400, Some("no"));
    assert_eq!(world.request(UPLOAD, "").await.text(), "");
    assert_eq!(world.logging.records().len(), 0);
}

#[tokio::test]
async fn lines_that_cannot_be_stored_say_so() {
    let world = Plan { logging_down: true, ..Plan::short_timeouts() }.start().await;
    for _ in 0..TRIES_UNTIL_SURE {
        let lines = world.request(UPLOAD, "{\"msg\":\"a\"}\n").await.lines();
        assert_eq!(lines[0]["line"], 1);
        assert!(lines[0]["uuid"].is_string());
        if lines[0]["stored"] == "no" {
            return;
        }
        assert_eq!(lines[0]["stored"], "unknown");
    }
    panic!("never surely not stored");
}
