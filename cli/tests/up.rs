//! `oncelog up` as a person runs it.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use std::net::TcpListener;

use self::support::{cluster::Cluster, interrupt, oncelog, run, stderr, stdout};

#[test]
fn what_is_sent_can_be_read_and_ctrl_c_ends_it_well() {
    let mut cluster = Cluster::start(&["--store", "memory"]);
    for _ in 0..2 {
        let sent = run(&["send", "--url", &cluster.facade, "--key", "k", "hello"]);
        assert!(sent.status.success(), "{}", stderr(&sent));
        assert!(stdout(&sent).starts_with("1 "));
    }
    let read = run(&["read", "--logging-url", &cluster.logging]);
    assert_eq!(stdout(&read), "hello\n", "{}", stderr(&read));
    assert_eq!(cluster.lines.next().unwrap().unwrap(), "Logged message: hello");

    interrupt(&cluster.child);
    assert_eq!(cluster.child.wait().unwrap().code(), Some(0));
}

#[test]
fn lines_go_through_the_cluster_and_an_input_can_be_repeated() {
    let cluster = Cluster::start(&["--store", "memory", "--hide-bodies"]);
    let input = tempfile::NamedTempFile::new().unwrap();
    let lines: String = (0..2000).map(|n| format!("message {n}\n")).collect();
    std::fs::write(input.path(), &lines).unwrap();
    for summary in ["2,000 stored, 0 duplicates", "0 stored, 2,000 duplicates"] {
        let sent = oncelog()
            .args(["send", "--url", &cluster.facade, "--key-prefix", "p"])
            .stdin(std::fs::File::open(input.path()).unwrap())
            .output()
            .unwrap();
        assert_eq!(stderr(&sent), format!("{summary}, 0 failed\n"));
    }
    let read = run(&["read", "--logging-url", &cluster.logging]);
    let stored = stdout(&read);
    let (mut stored, mut sent): (Vec<_>, Vec<_>) =
        (stored.lines().collect(), lines.lines().collect());
    stored.sort_unstable();
    sent.sort_unstable();
    assert!(stored == sent, "{} of {} lines are stored", stored.len(), sent.len());
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_and_stored_once() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--data-dir", data.path().to_str().unwrap()];
    let send = |cluster: &Cluster| {
        let sent = run(&["send", "--url", &cluster.facade, "--key", "k", "hello"]);
        assert!(sent.status.success(), "{}", stderr(&sent));
        stdout(&sent)
    };
    let mut cluster = Cluster::start(&flags);
    let receipt = send(&cluster);
    cluster.child.kill().unwrap();
    cluster.child.wait().unwrap();

    let cluster = Cluster::start(&flags);
    assert_eq!(send(&cluster), receipt);
    let read = run(&["read", "--logging-url", &cluster.logging]);
    assert_eq!(stdout(&read), "hello\n");
    assert!(data.path().join("logging").is_dir());
}

#[test]
fn a_failing_service_ends_the_cluster_with_its_exit_code() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--data-dir", data.path().to_str().unwrap()];
    let _holds_the_directory = Cluster::start(&flags);
    let ports = ["--facade-listen", "--logging-listen", "--messages-listen"];
    let ports: Vec<_> = ports.iter().flat_map(|flag| [flag, "127.0.0.1:0"]).collect();
    let output = run(&[&["up"], &flags[..], &ports].concat());
    assert_eq!(output.status.code(), Some(75));
    let log = stderr(&output);
    assert!(log.starts_with("logging-service: "), "{log}");
    assert!(log.contains("the journal is in use by another process"), "{log}");
    assert_eq!(stdout(&output), "", "it said it listens");
}

#[test]
fn a_taken_port_is_one_clear_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = run(&["up", "--facade-listen=127.0.0.1:0", "--logging-listen", &addr]);
    assert_eq!(output.status.code(), Some(69));
    assert_eq!(
        stderr(&output),
        format!(
            "logging-service: cannot listen on {addr}: Address already in use (os error 98); \
             give another address with --logging-listen\n"
        )
    );
}

#[test]
fn every_wrong_setting_is_named_and_exits_64() {
    let wrong =
        ["--facade-listen=5000", "--logging-listen=x", "--messages-listen=", "--store=tape"];
    let output = run(&[&["up"], &wrong[..]].concat());
    assert_eq!(output.status.code(), Some(64));
    for flag in wrong {
        let (flag, value) = flag.split_once('=').unwrap();
        assert!(stderr(&output).contains(&format!("{flag} {value:?}: ")), "{}", stderr(&output));
    }

    let environment = [("FACADE_ATTEMPT_TIMEOUT", "soon"), ("LOGGING_SEGMENT_SIZE", "1")];
    let output = oncelog().arg("up").envs(environment).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    for (variable, value) in environment {
        assert!(
            stderr(&output).contains(&format!("{variable} {value:?}: ")),
            "{}",
            stderr(&output)
        );
    }
}
