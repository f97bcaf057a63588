//! The competitor keeps the same promises, or comparing with it would mean nothing.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use reqwest::{Response, StatusCode};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../postgres.py");

/// A program that says one line once it works, and is ended with the test.
struct Program {
    process: Child,
    line: String,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, line: line.trim().to_owned() }
    }
}

/// Both end with their standard input or with their process.
impl Drop for Program {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if self.line.starts_with("listening") {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

async fn post(url: &str, key: &str, body: &'static str) -> Response {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(url).header("content-type", "application/json").body(body);
    request.header("idempotency-key", key).send().await.unwrap()
}

async fn parts(response: Response) -> (StatusCode, bool, String) {
    let replayed = response.headers().contains_key("idempotency-replayed");
    (response.status(), replayed, response.text().await.unwrap())
}

#[tokio::test]
async fn a_message_is_stored_once_and_a_repeat_gets_its_sequence() {
    let server = Program::start(Command::new("python3").arg(SERVER).arg("--no-install"));
    if server.line.starts_with("NOT RUN") {
        println!("{}", server.line);
        return;
    }
    assert!(server.line.starts_with("postgresql://"), "{:?}", server.line);
    let mut competitor = Command::new(env!("CARGO_BIN_EXE_oncelog-competitor-postgres"));
    let competitor = Program::start(competitor.args(["127.0.0.1:0", &server.line, "2"]));
    let url = format!("http://{}/facade", competitor.line.strip_prefix("listening addr=").unwrap());

    let id = "0190a5f0-5b9e-7c3a-8000-0000000000aa";
    let receipt =
        |sequence: u32| format!(r#"{{"status":"success","uuid":"{id}","sequence":{sequence}}}"#);
    let first = parts(post(&url, id, r#"{"msg":"once \u0000"}"#).await).await;
    assert_eq!(first, (StatusCode::OK, false, receipt(1)));
    let other = post(&url, "order-7", r#"{"msg":"other"}"#).await;
    assert_eq!(other.status(), StatusCode::OK);
    let again = parts(post(&url, id, r#"{"msg":"once \u0000"}"#).await).await;
    assert_eq!(again, (StatusCode::OK, true, receipt(1)));
    let conflict = parts(post(&url, id, r#"{"msg":"twice"}"#).await).await;
    assert_eq!((conflict.0, conflict.1), (StatusCode::UNPROCESSABLE_ENTITY, false));
    for refused in [r#"{"msg":""}"#, r#"{"msg":7}"#, r#"{"msg":"x","more":1}"#, "{", ""] {
        assert_eq!(post(&url, "order-8", refused).await.status(), StatusCode::BAD_REQUEST);
    }

    // Many at once become few batches; each id is stored by one of them.
    let many = (0..200).map(|number| {
        let url = url.clone();
        tokio::spawn(async move {
            let key = format!("key-{}", number / 2);
            parts(post(&url, &key, r#"{"msg":"many"}"#).await).await
        })
    });
    let mut answers = Vec::new();
    for answer in many.collect::<Vec<_>>() {
        answers.push(answer.await.unwrap());
    }
    assert!(answers.iter().all(|answer| answer.0 == StatusCode::OK), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.1).count(), 100);
    assert!(answers.chunks(2).all(|pair| pair[0].2 == pair[1].2), "{answers:?}");
}
