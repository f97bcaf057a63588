//! Messages that were read can be stored again as they were.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use std::io::Write as _;

use serde_json::{Value, json};

use self::support::{cluster::Cluster, run, spawn, stdout};

const TEXTS: [&str; 6] =
    ["plain", "a\nb\r\n", "C:\\new \\n", "\u{feff}\u{2028}\u{202e}\u{1b}[2J", "é😀\t", "\"{}\""];

fn read(cluster: &Cluster, args: &[&str]) -> String {
    let output = run(&[&["read", "--logging-url", &cluster.logging], args].concat());
    assert!(output.status.success(), "{output:?}");
    stdout(&output)
}

/// Ids and texts.
fn records(cluster: &Cluster) -> Vec<Value> {
    let lines = read(cluster, &["--format", "ndjson"]);
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| json!({"msg": record["msg"], "key": record["uuid"]})).collect()
}

fn store(cluster: &Cluster, texts: &[&str]) {
    for text in texts {
        let output = run(&["send", "--url", &cluster.facade, "--", text]);
        assert!(output.status.success(), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_as_ndjson_can_be_uploaded_as_it_was() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [from, to] = dirs.each_ref().map(|dir| Cluster::start_in(dir.path()));
    store(&from, &TEXTS);
    let records_read = records(&from);
    let texts: Vec<_> = records_read.iter().map(|record| &record["msg"]).collect();
    assert_eq!(texts, TEXTS);
    let lines: String = records_read.iter().map(|record| format!("{record}\n")).collect();
    // A second time changes nothing: each message keeps its id.
    for _ in 0..2 {
        let url = format!("{}/facade/batch", to.facade);
        let upload = reqwest::Client::new().post(url).body(lines.clone());
        let upload = upload.header("content-type", "application/x-ndjson").send().await.unwrap();
        assert_eq!(upload.text().await.unwrap().matches("\"success\"").count(), TEXTS.len());
        assert_eq!(records(&to), records_read);
    }
}

#[test]
fn raw_lines_are_sent_as_they_were_read() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [from, to] = dirs.each_ref().map(|dir| Cluster::start_in(dir.path()));
    let texts = ["plain", "C:\\new \\n", "\u{2028}\u{1b}[2J", "é😀\t"];
    store(&from, &texts);
    let raw = read(&from, &["--raw"]);
    let mut send = spawn(&["send", "--url", &to.facade]);
    send.stdin.take().unwrap().write_all(raw.as_bytes()).unwrap();
    assert!(send.wait_with_output().unwrap().status.success());
    assert_eq!(read(&to, &["--raw"]), raw);
    assert_eq!(raw.matches('\n').count(), texts.len());
    assert_eq!(read(&to, &[]).lines().count(), texts.len());
}
