//! The three services as real processes, seen from outside: every row of the HTTP contract.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod support;

use oncelog::{
    limits::HTTP_BODY_BYTES_MAX,
    wire::v1::{
        self, AppendRequest, LookupRequest, logging_service_client::LoggingServiceClient,
        messages_service_client::MessagesServiceClient,
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use support::{Answer, Client, client_of, http::send, start_cluster};

const NDJSON: &str = "application/x-ndjson";
const UNKNOWN_UUID: &str = "0199c0de-0000-7000-8000-00000000dead";

#[tokio::test]
async fn a_posted_message_is_listed_and_found_by_its_uuid() {
    let (_scratch, _cluster, client) = start_cluster("walk").await;
    let empty = client.get("/facade").await.unwrap().expect(200);
    assert_eq!(empty.json(), json!({ "logs": [], "message": "not implemented yet" }));

    let posted = client.post("msg1", None).await.unwrap().expect(200);
    let uuid = posted.json()["uuid"].as_str().unwrap().to_owned();
    let success = json!({ "status": "success", "uuid": uuid, "sequence": 1 });
    assert_eq!(posted.json(), success);
    assert_eq!(posted.header("idempotency-replayed"), "");
    let second = client.post("héllo \"wörld\"\n☕", None).await.unwrap().expect(200);
    assert_eq!(second.json()["sequence"], 2);
    assert_ne!(second.json()["uuid"], uuid.as_str());

    let listed = client.get("/facade").await.unwrap().expect(200);
    assert_eq!(listed.header("content-type"), "application/json");
    let logs = json!(["msg1", "héllo \"wörld\"\n☕"]);
    assert_eq!(listed.json(), json!({ "logs": logs, "message": "not implemented yet" }));

    let found = client.get(&format!("/facade/{uuid}")).await.unwrap().expect(200).json();
    assert_eq!((&found["uuid"], &found["sequence"]), (&json!(uuid), &json!(1)));
    assert_eq!(found["msg"], "msg1");
    assert!(found["stored_at"].is_string(), "{found}");
    client.get(&format!("/facade/{UNKNOWN_UUID}")).await.unwrap().expect(404);
    client.get("/facade/no-uuid").await.unwrap().expect(400);
}

#[tokio::test]
async fn a_repeated_key_gets_its_receipt_and_other_text_a_conflict() {
    let (_scratch, _cluster, client) = start_cluster("keys").await;
    let first = client.post("one coffee", Some("order-7")).await.unwrap().expect(200);
    assert_eq!(first.header("idempotency-replayed"), "");
    for spelling in ["order-7", "\"order-7\""] {
        let repeat = client.post("one coffee", Some(spelling)).await.unwrap().expect(200);
        assert_eq!(repeat.text, first.text, "{spelling}");
        assert_eq!(repeat.header("idempotency-replayed"), "true", "{spelling}");
    }
    let conflict = client.post("two coffees", Some("order-7")).await.unwrap().expect(422);
    assert_eq!(conflict.json()["status"], "failure");
    assert!(!conflict.text.contains("one coffee"), "the first message is shown: {conflict:?}");

    let uuid = "0199c0de-0000-7000-8000-00000000abcd";
    let by_uuid = client.post("by uuid", Some(uuid)).await.unwrap().expect(200);
    assert_eq!(by_uuid.json()["uuid"], uuid);
    let shouted = client.post("by uuid", Some(&uuid.to_uppercase())).await.unwrap().expect(200);
    assert_eq!(shouted.text, by_uuid.text);
    assert_eq!(client.logs().await, ["one coffee", "by uuid"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_sent_by_many_clients_at_once_is_stored_once() {
    let (_scratch, cluster, _) = start_cluster("at-once").await;
    let posts = (0..64).map(|_| {
        let client = client_of(&cluster);
        tokio::spawn(async move { client.post("rush", Some("rush-hour")).await.unwrap() })
    });
    let answers = futures_util::future::join_all(posts.collect::<Vec<_>>()).await;
    let answers: Vec<Answer> =
        answers.into_iter().map(|answer| answer.unwrap().expect(200)).collect();
    assert!(answers.iter().all(|answer| answer.text == answers[0].text), "{answers:?}");
    assert_eq!(client_of(&cluster).logs().await, ["rush"]);
}

#[tokio::test]
async fn the_log_is_shown_as_lines_as_text_and_by_page() {
    let (_scratch, _cluster, client) = start_cluster("forms").await;
    for number in 1..=5 {
        client.post(&format!("m{number}"), None).await.unwrap().expect(200);
    }

    let lines = client.get_as("/facade", NDJSON).await.unwrap().expect(200);
    assert_eq!(lines.header("content-type"), NDJSON);
    let lines = lines.lines();
    assert_eq!(lines.len(), 5);
    for (number, line) in (1..).zip(&lines) {
        assert_eq!(line["sequence"], number);
        assert_eq!(line["msg"], format!("m{number}"));
        assert!(line["uuid"].is_string() && line["stored_at"].is_string(), "{line}");
    }

    let text = client.get_as("/facade", "text/plain").await.unwrap().expect(200).text;
    assert_eq!(text, "m1\nm2\nm3\nm4\nm5\nnot implemented yet\n");

    let page = client.get("/facade?after=1&limit=2").await.unwrap().expect(200).json();
    assert_eq!(page["logs"], json!(["m2", "m3"]));
    let mut after = 0;
    let mut walked = Vec::new();
    loop {
        let path = format!("/facade?after={after}&limit=2");
        let page = client.get_as(&path, NDJSON).await.unwrap().expect(200).lines();
        let Some(last) = page.last() else { break };
        after = last["sequence"].as_u64().unwrap();
        walked.extend(page.iter().map(|line| line["msg"].as_str().unwrap().to_owned()));
    }
    assert_eq!(walked, client.logs().await);
}

#[tokio::test]
async fn a_batch_is_answered_line_by_line_in_order() {
    let (_scratch, _cluster, client) = start_cluster("batch").await;
    client.post("first", Some("known")).await.unwrap().expect(200);
    let upload = [
        r#"{"msg":"a","key":"k1"}"#,
        r#"{"msg":"b"}"#,
        r#"{"msg":"a","key":"k1"}"#,
        r#"{"msg":"first","key":"known"}"#,
        r#"{"msg":"other","key":"known"}"#,
        r#"{"msg":7}"#,
        r#"{"msg":"c"}"#,
    ];
    let outcomes = upload_lines(&client, &upload).await;
    let status: Vec<&Value> = outcomes.iter().map(|line| &line["status"]).collect();
    assert_eq!(
        status,
        ["success", "success", "success", "success", "failure", "failure", "success"],
        "{outcomes:?}"
    );
    assert_eq!(outcomes[0]["sequence"], outcomes[2]["sequence"]);
    assert_eq!(outcomes[3]["sequence"], 1);
    assert_eq!(client.logs().await, ["first", "a", "b", "c"]);

    let again = upload_lines(&client, &upload[..1]).await;
    assert_eq!(again[0]["sequence"], outcomes[0]["sequence"]);
    let many: Vec<String> =
        (0..3000).map(|number| json!({ "msg": format!("n{number}") }).to_string()).collect();
    let outcomes = upload_lines(&client, &many).await;
    let sequences: Vec<u64> =
        outcomes.iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (5..3005).collect::<Vec<_>>(), "the order of the lines is not kept");
}

async fn upload_lines(client: &Client, lines: &[impl AsRef<str>]) -> Vec<Value> {
    let body: String = lines.iter().map(|line| format!("{}\n", line.as_ref())).collect();
    let request = client.request(Method::POST, "/facade/batch").header("content-type", NDJSON);
    send(request.body(body)).await.unwrap().expect(200).lines()
}

#[tokio::test]
async fn health_and_readiness_are_told() {
    let (_scratch, mut cluster, client) = start_cluster("health").await;
    client.get("/healthz").await.unwrap().expect(200);
    client.get("/readyz").await.unwrap().expect(200);
    for process in [&mut cluster.facade, &mut cluster.messages, &mut cluster.logging] {
        assert_eq!(process.stop().await.unwrap(), Some(0), "{process:?}");
    }
}

/// A request that must be refused: method, path, media type of the body, body, status.
type Bad = (Method, &'static str, &'static str, String, u16);

fn bad_requests() -> Vec<Bad> {
    const JSON: &str = "application/json";
    let post = |media_type, body: &str, status| {
        (Method::POST, "/facade", media_type, body.to_owned(), status)
    };
    vec![
        post(JSON, "", 400),
        post(JSON, "{}", 400),
        post(JSON, r#"{"msg":""}"#, 400),
        post(JSON, r#"{"msg":null}"#, 400),
        post(JSON, r#"{"msg":7}"#, 400),
        post(JSON, r#"{"msg":["bad"]}"#, 400),
        post(JSON, r#"["bad"]"#, 400),
        post(JSON, r#"{"msg":"bad""#, 400),
        post(JSON, r#"{"msg":"bad"}{"msg":"bad"}"#, 400),
        post(JSON, r#"{"msg":"\ud800"}"#, 400),
        post(JSON, &"[".repeat(100_000), 400),
        post("", r#"{"msg":"bad"}"#, 415),
        post("text/plain", "bad", 415),
        (Method::POST, "/facade/batch", JSON, r#"{"msg":"bad"}"#.to_owned(), 415),
        (Method::PUT, "/facade", JSON, r#"{"msg":"bad"}"#.to_owned(), 405),
        (Method::POST, "/elsewhere", JSON, r#"{"msg":"bad"}"#.to_owned(), 404),
        (Method::GET, "/facade?after=x", "", String::new(), 400),
        (Method::GET, "/facade?limit=-1", "", String::new(), 400),
    ]
}

#[tokio::test]
async fn bad_requests_are_refused_and_store_nothing() {
    let (_scratch, _cluster, client) = start_cluster("bad").await;
    for (method, path, media_type, body, status) in bad_requests() {
        let mut request = client.request(method.clone(), path);
        if !media_type.is_empty() {
            request = request.header("content-type", media_type);
        }
        let shown: String = body.chars().take(60).collect();
        let answer = send(request.body(body)).await.unwrap();
        assert_eq!(answer.status, status, "{method} {path} {media_type} {shown}: {answer:?}");
        let failure = answer.json();
        assert_eq!(failure["status"], "failure", "{failure}");
        assert!(failure["message"].as_str().is_some_and(|text| text.len() > 10), "{failure}");
    }
    let fits = HTTP_BODY_BYTES_MAX - r#"{"msg":""}"#.len();
    client.post(&"x".repeat(fits + 1), None).await.unwrap().expect(413);
    let (long_key, nil) = ("k".repeat(256), "00000000-0000-0000-0000-000000000000");
    for key in ["", "two words", "\"open", nil, &long_key] {
        let failure = client.post("bad", Some(key)).await.unwrap().expect(400).json();
        assert_eq!(failure["status"], "failure", "{key:?}: {failure}");
        assert!(failure["message"].as_str().is_some_and(|text| text.len() > 10), "{failure}");
    }
    assert_eq!(client.logs().await, Vec::<String>::new());

    // The very limits are still good, and a refused request has not used up its key.
    client.post(&"x".repeat(fits), Some(&long_key[..255])).await.unwrap().expect(200);
    assert_eq!(client.logs().await.len(), 1);
}

#[tokio::test]
async fn http_and_grpc_show_the_same_log() {
    let (_scratch, cluster, client) = start_cluster("grpc").await;
    let posted = client.post("over http", Some(UNKNOWN_UUID)).await.unwrap().expect(200).json();

    let url = format!("http://{}", cluster.logging_address());
    let mut logging = LoggingServiceClient::connect(url).await.unwrap();
    let id = uuid::Uuid::parse_str(UNKNOWN_UUID).unwrap().into_bytes().to_vec();
    let lookup = LookupRequest { id: id.clone().into() };
    let stored = logging.lookup(lookup).await.unwrap().into_inner().message.unwrap();
    assert_eq!(stored.sequence, posted["sequence"].as_u64().unwrap());
    let same = stored.message.unwrap();
    let other = v1::Message { body: "other".into(), ..same.clone() };
    let new = v1::Message { id: vec![7; 16].into(), body: "over grpc".into(), ..same.clone() };
    let messages = vec![same, other, new];
    let response = logging.append(AppendRequest { messages }).await.unwrap().into_inner();
    let outcomes: Vec<_> = response.receipts.iter().map(v1::Receipt::outcome).collect();
    use v1::Outcome::{Conflict, Duplicate, Stored};
    assert_eq!(outcomes, [Duplicate, Conflict, Stored]);
    assert_eq!(response.receipts[0].sequence, stored.sequence);
    assert_eq!(client.logs().await, ["over http", "over grpc"]);

    let url = format!("http://{}", cluster.messages_address());
    let mut messages = MessagesServiceClient::connect(url).await.unwrap();
    let text = messages.get_messages(v1::GetMessagesRequest {}).await.unwrap().into_inner().text;
    assert_eq!(text, "not implemented yet");
}

#[tokio::test]
async fn the_log_stays_readable_without_the_messages_service() {
    let (_scratch, mut cluster, client) = start_cluster("no-messages").await;
    assert_eq!(cluster.messages.stop().await.unwrap(), Some(0));
    client.post("stored all the same", None).await.unwrap().expect(200);
    assert_eq!(client.records().await.len(), 1);
}
