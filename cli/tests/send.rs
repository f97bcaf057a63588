//! `oncelog send` as a person runs it.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output},
    time::{Duration, Instant},
};

use self::support::{facade::Facade, oncelog, run, send_signal, spawn, stderr, stdout, unused_url};

fn send(facade: &Facade, args: &[&str]) -> Output {
    run(&[&["send", "--url", &facade.url], args].concat())
}

fn send_input(facade: &Facade, args: &[&str], input: &[u8]) -> Output {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    oncelog().args(["send", "--url", &facade.url]).args(args).stdin(file).output().unwrap()
}

fn spawn_send(url: &str, args: &[&str]) -> Child {
    spawn(&[&["send", "--url", url], args].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_under_a_new_key_which_is_its_uuid() {
    let facade = Facade::start().await;
    let output = send(&facade, &["hello \"world\" é"]);
    assert!(output.status.success(), "{output:?}");
    let key = facade.seen.lock().unwrap().keys[0].clone();
    assert_eq!(stdout(&output), format!("1 {key}\n"));
    assert_eq!(stderr(&output), "");
    assert_eq!(facade.texts(), ["hello \"world\" é"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_key_gets_its_receipt_and_refuses_another_message() {
    let facade = Facade::start().await;
    let first = send(&facade, &["--key", "order \"7\"".replace(' ', "-").as_str(), "hello"]);
    let again = send(&facade, &["--key", "order-\"7\"", "hello"]);
    assert!(first.status.success() && again.status.success(), "{again:?}");
    assert_eq!(stdout(&first), stdout(&again));

    let other = send(&facade, &["--key", "order-\"7\"", "bye"]);
    assert_eq!(other.status.code(), Some(1));
    assert_eq!(stderr(&other), "this id is in use by a different message\n");
    assert_eq!(facade.texts(), ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_printed_as_it_came() {
    let facade = Facade::start().await;
    let output = send(&facade, &["--json", "hello"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["sequence"], 1);
    let output = send_input(&facade, &["--json"], b"a\nb\n");
    assert_eq!(stdout(&output).lines().count(), 2);
    assert!(stdout(&output).contains("\"sequence\":3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_names_the_command_that_repeats_it() {
    let facade = Facade::start().await;
    let output = send(&facade, &["--key", "k-1", "time out"]);
    assert_eq!(output.status.code(), Some(1));
    let command = format!("oncelog send --key k-1 --url {} -- 'time out'", facade.url);
    assert!(stderr(&output).ends_with(&format!("{command}\n")), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_a_message_and_gets_a_receipt_in_order() {
    let facade = Facade::start().await;
    let input: String = (0..5000).map(|n| format!("message {n}\n")).collect();
    let output = send_input(&facade, &[], input.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    let seen = facade.seen.lock().unwrap();
    let receipts: String =
        (1..).zip(&seen.keys).map(|(sequence, key)| format!("{sequence} {key}\n")).collect();
    assert_eq!(stdout(&output), receipts);
    assert_eq!(seen.texts, input.lines().collect::<Vec<_>>());
    assert_eq!(stderr(&output), "5,000 stored, 0 duplicates, 0 failed\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_input_under_the_same_prefix_stores_nothing_twice() {
    let facade = Facade::start().await;
    let first = send_input(&facade, &["--key-prefix", "import"], b"a\n\na\n");
    let again = send_input(&facade, &["--key-prefix", "import"], b"a\n\na\nnew");
    assert_eq!(stderr(&first), "2 stored, 0 duplicates, 0 failed\n");
    assert_eq!(stderr(&again), "1 stored, 2 duplicates, 0 failed\n");
    assert!(stdout(&again).starts_with(&stdout(&first)));
    assert_eq!(facade.texts(), ["a", "a", "new"]);
    assert_eq!(facade.seen.lock().unwrap().keys[..2], ["import-1", "import-3"]);

    let changed = send_input(&facade, &["--key-prefix", "import"], b"b\n");
    assert_eq!(changed.status.code(), Some(1));
    assert!(stderr(&changed).starts_with("line 1: this id is in use"), "{}", stderr(&changed));
    assert!(stderr(&changed).ends_with("0 stored, 0 duplicates, 1 failed\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_cannot_be_sent_is_named_and_the_others_are_sent() {
    let facade = Facade::start().await;
    let output = send_input(&facade, &[], b"\xff\na\n\xfe\nb\n\xfd");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "not sent: line 1 is not UTF-8\nnot sent: line 3 is not UTF-8\n\
         not sent: line 5 is not UTF-8\n2 stored, 0 duplicates, 3 failed\n"
    );
    assert_eq!(facade.texts(), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_is_not_stored() {
    let facade = Facade::start().await;
    let output = send_input(&facade, &[], "\u{feff}a\r\n\u{feff}b\n".as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(facade.texts(), ["a", "\u{feff}b"]);

    let output = send_input(&facade, &[], b"\xff\xfec\0\n\0d\0\n\0");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(facade.texts().len(), 2);
    assert!(stderr(&output).starts_with("not sent: standard input is UTF-16"), "{output:?}");
    assert!(stderr(&output).ends_with("0 stored, 0 duplicates, 1 failed\n"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_come_while_the_input_is_open_and_after_a_pause() {
    let facade = Facade::start().await;
    let mut child = spawn_send(&facade.url, &[]);
    let mut input = child.stdin.take().unwrap();
    let mut receipts = BufReader::new(child.stdout.take().unwrap()).lines();
    for sequence in 1..=2 {
        input.write_all(b"hello\n").unwrap();
        let receipt = receipts.next().unwrap().unwrap();
        assert!(receipt.starts_with(&format!("{sequence} ")), "{receipt}");
    }
    // A facade waits for a silent body for seconds only, so the upload ends in a pause.
    let deadline = Instant::now() + Duration::from_secs(30);
    while facade.seen.lock().unwrap().uploads_ended == 0 {
        assert!(Instant::now() < deadline, "the upload was left open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    input.write_all(b"again\n").unwrap();
    assert!(receipts.next().unwrap().unwrap().starts_with("3 "));
    drop(input);
    assert!(receipts.next().is_none());
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "3 stored, 0 duplicates, 0 failed\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_broken_upload_the_printed_commands_complete_it() {
    let broken = Facade::start_that_breaks_at(2).await;
    let output = send_input(&broken, &[], b"a\nb\nit's c\nd\n");
    assert_eq!(output.status.code(), Some(1));
    // An answer that is under way when the connection breaks may be lost with it.
    let acknowledged = stdout(&output).lines().count();
    assert!(acknowledged <= 2, "{output:?}");
    let log = stderr(&output);
    assert!(log.contains("the connection to the facade broke: "), "{log}");
    assert!(log.contains(&format!("{acknowledged} stored, 0 duplicates, 0 failed, ")), "{log}");

    // The commands store what is missing, also when they are run twice.
    let directory = Path::new(env!("CARGO_BIN_EXE_oncelog")).parent().unwrap();
    let commands: Vec<_> = log.lines().filter(|line| line.starts_with("oncelog ")).collect();
    assert!(!commands.is_empty(), "{log}");
    for command in [&commands[..], &commands[..]].concat() {
        let script = format!("PATH={}\n{command}", directory.display());
        assert!(Command::new("bash").args(["-c", &script]).status().unwrap().success(), "{script}");
    }
    let texts = broken.texts();
    assert_eq!(texts[..3], ["a", "b", "it's c"]);
    let sent = acknowledged + commands.len();
    assert_eq!(texts.len(), sent);
    if sent < 4 {
        assert!(log.contains(&format!("tail -n +{} FILE", sent + 1)), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_broken_upload_with_a_prefix_the_input_can_be_resent() {
    let broken = Facade::start_that_breaks_at(2).await;
    let output = send_input(&broken, &["--key-prefix", "p"], b"a\nb\nc\nd\n");
    assert_eq!(output.status.code(), Some(1));
    let log = stderr(&output);
    assert!(log.contains("send the same input again with the same --key-prefix"), "{log}");
    assert!(!log.contains("oncelog send --key "), "{log}");
}

#[test]
fn a_stop_signal_names_what_is_under_way() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let both = [&["--key", "k-1", "hello"][..], &[]];
    for (args, name) in both.into_iter().flat_map(|args| [(args, "INT"), (args, "TERM")]) {
        let mut child = spawn_send(&url, args);
        child.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
        let (mut connection, _) = silent.accept().unwrap();
        let mut request = Vec::new();
        while !String::from_utf8_lossy(&request).contains("hello") {
            let mut chunk = [0; 4096];
            let bytes = connection.read(&mut chunk).unwrap();
            request.extend_from_slice(&chunk[..bytes]);
        }
        send_signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let log = stderr(&output);
        assert!(log.starts_with("interrupted\n"), "{log}");
        assert!(log.contains(&format!(" --url {url} -- hello\n")), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_into_a_closed_pipe_do_not_stop_the_sending() {
    let facade = Facade::start().await;
    let mut child = spawn_send(&facade.url, &[]);
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"a\nb\nc\n").unwrap();
    assert!(child.wait().unwrap().success());
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(log, "3 stored, 0 duplicates, 0 failed\n");
    assert_eq!(facade.texts(), ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_cannot_be_written_are_an_error_of_their_own() {
    let facade = Facade::start().await;
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = oncelog();
    let output = command.args(["send", "--url", &facade.url, "a"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(stderr(&output).starts_with("cannot print receipts: No space left"), "{output:?}");
    assert_eq!(facade.texts(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_facade_says_steers_no_terminal() {
    let facade = Facade::start().await;
    let output = send(&facade, &["--json", "--key", "k", "steer"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "two\\nlines \\u{1b}[2J\\u{202e}\n");
    assert!(stdout(&output).contains(r"two\nlines \u001b[2J\u202e"), "{output:?}");
}

#[test]
fn no_facade_is_one_clear_sentence() {
    let url = unused_url();
    let output = run(&["send", "--url", &url, "hello"]);
    assert_eq!(output.status.code(), Some(69));
    let expected = format!("cannot reach the facade at {url}/: Connection refused (os error 111)");
    assert_eq!(stderr(&output), format!("{expected}; nothing was sent\n"));
}

#[test]
fn no_facade_for_lines_tells_where_to_go_on() {
    let url = unused_url();
    let mut child = spawn_send(&url, &[]);
    child.stdin.take().unwrap().write_all(b"\na\nb\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    let log = stderr(&output);
    assert!(log.contains("nothing was sent\n"), "{log}");
    assert!(log.contains(&format!("tail -n +2 FILE | oncelog send --url {url}\n")), "{log}");
}

#[test]
fn every_wrong_setting_is_named_and_exits_64() {
    let output = run(&["send", "--url", "ftp://x", "--key", "two words", "--key-prefix", "p", ""]);
    let log = stderr(&output);
    assert_eq!(output.status.code(), Some(64), "{log}");
    for part in ["--url \"ftp://x\"", "--key \"two words\"", "--key-prefix \"p\"", "MESSAGE \"\""] {
        assert!(log.contains(part), "{log} has no {part}");
    }
    let output = run(&["send", "--key", "k"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("use --key-prefix for lines"));
    assert_eq!(run(&["sned"]).status.code(), Some(64));
    assert_eq!(run(&["send", "--hlep"]).status.code(), Some(64));
}
