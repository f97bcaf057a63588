//! `oncelog read` as a person runs it.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    time::{Duration, Instant},
};

use self::support::{
    interrupt,
    logging::{self, End},
    run, spawn, stderr, stdout, unused_url,
};

fn bodies(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_printed_one_message_a_line() {
    let url = logging::start(bodies(&["a", "b\x1b", "c\nC:\\", "d"]), End::Well).await;
    let read = |args: &[&str]| stdout(&run(&[&["read", "--logging-url", &url], args].concat()));
    assert_eq!(read(&[]), "a\nb\\u{1b}\nc\\nC:\\\\\nd\n");
    assert_eq!(read(&["--after", "3"]), "d\n");
    assert_eq!(read(&["-n", "1"]), "a\n");
    assert_eq!(read(&["--stream", "orders", "--after", "1", "--limit", "1"]), "b\\u{1b}\n");
    assert_eq!(read(&["--raw"]), "a\nb\x1b\nc\nC:\\\nd\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn ndjson_has_everything_of_a_record() {
    let url = logging::start(vec![b"\xff".to_vec()], End::Well).await;
    let output = run(&["read", "--logging-url", &url, "--format", "ndjson"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({
        "uuid": "00000000-0000-0000-0000-000000000001",
        "sequence": 1,
        "stored_at": "1970-01-01T00:00:00.000000000Z",
        "stream": "facade",
        "content_type": "text/plain; charset=utf-8",
        "msg_base64": "/w==",
    });
    assert_eq!(json, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_enough_ends_it_quietly() {
    let url = logging::start(vec![vec![b'x'; 100_000]; 100], End::Well).await;
    let mut child = spawn(&["read", "--logging-url", &url]);
    child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &stderr(&output)[..]), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn following_shows_each_message_at_once_and_ends_with_ctrl_c() {
    let url = logging::start(bodies(&["a", "b"]), End::Well).await;
    let mut child = spawn(&["read", "--follow", "--logging-url", &url]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "a");
    assert_eq!(lines.next().unwrap().unwrap(), "b");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &stderr(&output)[..]), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_it_while_its_output_pipe_is_full() {
    let longer_than_a_pipe: &str = "x".repeat(1_000_000).leak();
    let url = logging::start(bodies(&[longer_than_a_pipe]), End::Well).await;
    let mut child = spawn(&["read", "--logging-url", &url]);
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    interrupt(&child);
    let deadline = Instant::now() + Duration::from_secs(10);
    let ended = loop {
        match child.try_wait().unwrap() {
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                panic!("it did not end");
            }
            None => tokio::task::yield_now().await,
            Some(ended) => break ended,
        }
    };
    assert_eq!(ended.code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_on_the_way_tells_where_to_go_on() {
    let url = logging::start(bodies(&["a", "b"]), End::InAnError).await;
    let output = run(&["read", "--logging-url", &url]);
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(stdout(&output), "a\nb\n");
    let expected = "reading broke off: segment 3 is damaged; go on with --after 2 once the journal is repaired; \
                    until then, --after and --limit read what is in front of it and behind it\n";
    assert_eq!(stderr(&output), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_after_the_end_is_an_error_and_not_waited_for() {
    let url = logging::start(bodies(&["a", "b"]), End::Well).await;
    let expected = "the log ends at sequence 2, and 5 is after its end: it is another log, or an old \
                    backup was put back. Compare what was read with the log, and read on after a \
                    sequence up to 2\n";
    for follow in [&[][..], &["--follow"]] {
        let output = run(&[&["read", "--logging-url", &url, "--after", "5"], follow].concat());
        assert_eq!(output.status.code(), Some(1));
        assert_eq!((&stdout(&output)[..], &stderr(&output)[..]), ("", expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_ready_says_why() {
    let url = logging::start(Vec::new(), End::Well).await;
    let output = run(&["read", "--logging-url", &url]);
    assert_eq!(output.status.code(), Some(69));
    assert!(stderr(&output).ends_with("does not serve reads: the log is being checked\n"));
}

#[test]
fn no_service_is_one_clear_sentence() {
    let url = unused_url();
    let output = run(&["read", "--logging-url", &url]);
    assert_eq!(output.status.code(), Some(69));
    let expected = format!("cannot reach the logging service at {url}/: Connection refused");
    assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1);
}

#[test]
fn every_wrong_setting_is_named_and_exits_64() {
    let wrong = [
        "--after=-1",
        "--limit=x",
        "--stream=A",
        "--format=xml",
        "--retry-for=soon",
        "--logging-url=x",
    ];
    let output = run(&[&["read"], &wrong[..]].concat());
    assert_eq!(output.status.code(), Some(64));
    for flag in wrong {
        let (flag, value) = flag.split_once('=').unwrap();
        assert!(stderr(&output).contains(&format!("{flag} {value:?}: ")), "{}", stderr(&output));
    }
}
