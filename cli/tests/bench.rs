//! `oncelog bench` measures what is there, and says how it went.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Output,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use self::support::{cluster::Cluster, interrupt, oncelog, run, spawn, stderr, stdout, unused_url};

/// Time limit for something that must happen soon.
const TIMEOUT: Duration = Duration::from_secs(30);

fn bench(url: &str, args: &[&str]) -> Output {
    oncelog().args(["bench", url]).args(args).output().unwrap()
}

/// The one JSON object on standard output.
#[track_caller]
fn json(output: &Output) -> Value {
    let text = stdout(output);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{}", stderr(output)))
}

#[track_caller]
fn number(json: &Value, path: &str) -> u64 {
    json.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path}: {json}"))
}

/// The texts in the log.
fn stored(cluster: &Cluster) -> Vec<String> {
    let read = run(&["read", "--logging-url", &cluster.logging]);
    assert!(read.status.success(), "{}", stderr(&read));
    stdout(&read).lines().map(str::to_owned).collect()
}

/// Serves `answer` to whatever is asked.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move |mut stream: TcpStream| {
        let mut piece = [0; 4096];
        while matches!(stream.read(&mut piece), Ok(1..)) {
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream));
        }
    });
    url
}

#[test]
fn a_closed_loop_reports_as_many_messages_as_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_in(dir.path());
    let args = ["--connections=4", "--duration=1s", "--warmup=200ms", "--json"];
    let output = bench(&cluster.facade, &args);
    let found = json(&output);
    assert_eq!(output.status.code(), Some(0), "{found}{}", stderr(&output));
    let acknowledged = number(&found, "/measured/counts/acknowledged");
    let warmup = number(&found, "/warmup/counts/acknowledged");
    assert!(acknowledged > 0 && warmup > 0, "{found}");
    assert_eq!(stored(&cluster).len() as u64, acknowledged + warmup, "{found}");
    assert_eq!(number(&found, "/measured/statuses/200"), acknowledged);
    for other in ["not_stored", "unknown", "not_understood", "not_sent"] {
        assert_eq!(number(&found, &format!("/measured/counts/{other}")), 0, "{found}");
    }
    let latencies = ["p50", "p90", "p99", "p99_9", "max"]
        .map(|name| number(&found, &format!("/measured/latency_us/{name}")));
    assert!(latencies[0] > 0 && latencies.is_sorted(), "{found}");
    let measured = |path| found.pointer(path).and_then(Value::as_f64).unwrap();
    let (rate, seconds) =
        (measured("/measured/per_second/acknowledged"), measured("/measured/seconds"));
    assert!((rate * seconds - acknowledged as f64).abs() < 0.5, "{found}");
    let settings = &found["settings"];
    assert_eq!((&settings["loop"], &settings["rate"]), (&"closed".into(), &Value::Null));
    assert_eq!(settings["connections"], 4);
}

#[test]
fn an_open_loop_sends_as_much_as_it_was_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_in(dir.path());
    let args = ["--rate=100", "--duration=1s", "--warmup=0s", "--json"];
    let output = bench(&cluster.facade, &args);
    let found = json(&output);
    assert_eq!(output.status.code(), Some(0), "{found}{}", stderr(&output));
    assert_eq!(number(&found, "/measured/counts/sent"), 100, "{found}");
    assert_eq!(stored(&cluster).len(), 100, "{found}");
    assert!(found["warmup"].is_null() && found["settings"]["loop"] == "open", "{found}");
    assert!(number(&found, "/measured/lateness_us/max") > 0, "{found}");
    let seconds = found["measured"]["seconds"].as_f64().unwrap();
    assert!(seconds >= 1.0, "{found}");
}

#[test]
fn a_person_gets_a_table_and_is_told_that_it_stays_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_in(dir.path());
    // A name may have several addresses, and some of them may refuse connections.
    let url = cluster.facade.replace("127.0.0.1", "localhost");
    let args = ["--connections=2", "--duration=200ms", "--warmup=0s", "--size=16KiB"];
    let output = bench(&url, &args);
    let table = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{table}{}", stderr(&output));
    let note = format!("every message is new and stays in the log of {url}\n");
    assert!(table.starts_with(&note), "{table}");
    for part in ["latency p50 ", "latency p99.9 ", "latency max ", "surely not stored", "200: "] {
        assert!(table.contains(part), "no {part}: {table}");
    }
    assert!(table.contains("2 connections, each posts when its last answer is there"), "{table}");
    let texts = stored(&cluster);
    assert!(!texts.is_empty() && texts.iter().all(|text| text.len() == 16 * 1024));
    assert_eq!(stderr(&output), "");
}

/// A run that is ended by Ctrl-C once something is stored.
fn interrupted(cluster: &Cluster, args: &[&str]) -> Output {
    let child = spawn(&[&["bench", &cluster.facade, "--json"], args].concat());
    let (before, deadline) = (stored(cluster).len(), Instant::now() + TIMEOUT);
    while stored(cluster).len() <= before {
        assert!(Instant::now() < deadline, "nothing is posted");
    }
    interrupt(&child);
    child.wait_with_output().unwrap()
}

#[test]
fn ctrl_c_ends_it_early_and_shows_what_was_measured() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_in(dir.path());
    // Most of the connections wait for messages that are due long after the end.
    let output = interrupted(&cluster, &["--rate=40", "--duration=1h", "--warmup=0s"]);
    let found = json(&output);
    assert_eq!(output.status.code(), Some(0), "{found}{}", stderr(&output));
    assert_eq!(found["interrupted"], true);
    let acknowledged = number(&found, "/measured/counts/acknowledged");
    assert!(acknowledged > 0, "{found}");
    assert_eq!(stored(&cluster).len() as u64, acknowledged, "{found}");

    let output = interrupted(&cluster, &["--rate=40", "--warmup=1h"]);
    let found = json(&output);
    assert_eq!(output.status.code(), Some(1), "{found}");
    let warmup = number(&found, "/warmup/counts/acknowledged");
    assert!(warmup > 0 && found["measured"].is_null(), "{found}");
    assert_eq!(stored(&cluster).len() as u64, acknowledged + warmup, "{found}");
    assert!(stderr(&output).starts_with("nothing was measured"), "{}", stderr(&output));
}

#[test]
fn answers_of_other_servers_are_counted_and_never_as_stored() {
    for (answer, count) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "not_understood"),
        ("SSH-2.0-server\r\n\r\n", "not_understood"),
        ("HTTP/1.1 503 Busy\r\ncontent-length: 15\r\n\r\n{\"stored\":\"no\"}", "not_stored"),
    ] {
        let args = ["--connections=1", "--rate=100", "--duration=100ms", "--warmup=0s", "--json"];
        let output = bench(&answering(answer), &args);
        let found = json(&output);
        assert_eq!(output.status.code(), Some(1), "{found}");
        assert_eq!(number(&found, &format!("/measured/counts/{count}")), 10, "{found}");
        assert_eq!(number(&found, "/measured/counts/acknowledged"), 0, "{found}");
        assert!(found["measured"]["latency_us"].is_null(), "{found}");
        assert!(stderr(&output).starts_with("nothing was acknowledged"), "{}", stderr(&output));
    }
}

#[test]
fn without_a_facade_nothing_is_measured() {
    let url = unused_url();
    for args in [&["--json"][..], &[]] {
        let output = bench(&url, args);
        assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
        let expected = format!("cannot reach the facade at {url}: Connection refused");
        assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn every_wrong_flag_is_named_at_once() {
    let wrong = [
        ("--connections", "0"),
        ("--duration", "2h"),
        ("--warmup", "18446744073709551615s 1000000000ns"),
        ("--rate", "0"),
        ("--size", "1MiB"),
    ];
    let args = wrong.map(|(flag, value)| format!("{flag}={value}"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = bench("ftp://x", &args);
    assert_eq!(output.status.code(), Some(64));
    for (flag, value) in wrong.into_iter().chain([("URL", "ftp://x")]) {
        let named = format!("{flag} {value:?}: ");
        assert!(stderr(&output).contains(&named), "no {named}: {}", stderr(&output));
    }
}
