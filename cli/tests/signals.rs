//! Ctrl-C, SIGTERM and a closed terminal end each command in the same order.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    process::Stdio,
};

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use support::{cluster::Cluster, oncelog, run, send_signal, spawn, stderr, stdout};

const SIGNALS: [&str; 3] = ["INT", "TERM", "HUP"];

#[test]
fn each_signal_stops_all_services_in_good_order() {
    for signal in SIGNALS {
        let mut cluster = Cluster::start(&["--store", "memory"]);
        send_signal(&cluster.child, signal);
        assert_eq!(cluster.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn the_request_to_stop_is_told_before_the_end_of_the_work() {
    // Two threads write these lines: one run may be right by chance.
    for _ in 0..40 {
        let mut command = oncelog();
        command.args(["up", "--store=memory", "--facade-listen=127.0.0.1:0"]);
        command.args(["--logging-listen=127.0.0.1:0", "--messages-listen=127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let addresses = BufReader::new(child.stdout.take().unwrap()).lines().take(3);
        assert_eq!(addresses.map(Result::unwrap).count(), 3);
        send_signal(&child, "TERM");
        let told = stderr(&child.wait_with_output().unwrap());
        let words = ["stopping; once more", "stopped"].map(|word| told.find(word).unwrap());
        assert!(words.is_sorted(), "{told}");
    }
}

#[test]
fn each_signal_names_what_is_being_sent() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for signal in SIGNALS {
        let child = spawn(&["send", "--url", &url, "--key", "k-1", "hello"]);
        let (mut connection, _) = silent.accept().unwrap();
        connection.read_exact(&mut [0]).unwrap();
        send_signal(&child, signal);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{signal}");
        let log = stderr(&output);
        assert!(log.starts_with("interrupted\n") && log.contains("k-1"), "{signal}: {log}");
    }
}

#[test]
fn each_signal_ends_a_reader_and_a_benchmark_early() {
    let cluster = Cluster::start(&["--store", "memory", "--hide-bodies"]);
    assert!(run(&["send", "--url", &cluster.facade, "hello"]).status.success());
    for signal in SIGNALS {
        let mut child = spawn(&["read", "--follow", "--logging-url", &cluster.logging]);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "hello\n");
        send_signal(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");

        let read = || stdout(&run(&["read", "--logging-url", &cluster.logging])).lines().count();
        let before = read();
        let mut command = oncelog();
        command.args(["bench", &cluster.facade, "--warmup=0s", "--duration=1h", "--rate=100"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        while read() == before {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
        }
        send_signal(&child, signal);
        let mut report = String::new();
        child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        assert!(report.contains("latency p50 "), "{signal}: {report}");
    }
}

#[test]
fn a_benchmark_ends_well_when_its_terminal_is_closed() {
    let cluster = Cluster::start(&["--store", "memory", "--hide-bodies"]);
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = openpt(flags).unwrap();
    unlockpt(&terminal).unwrap();
    let output = ioctl_tiocgptpeer(&terminal, flags).unwrap();
    let mut command = oncelog();
    command.args(["bench", &cluster.facade, "--warmup=0s", "--duration=1h", "--rate=100"]);
    let mut child = command.stdout(output).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    let read = || stdout(&run(&["read", "-n1", "--logging-url", &cluster.logging]));
    while read().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
    }
    drop(terminal);
    send_signal(&child, "HUP");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &stderr(&output)[..]), (Some(0), ""));
}

#[test]
fn a_signal_that_is_ignored_from_the_start_stays_ignored() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_oncelog")]);
    command.args(["send", "--url", &url, "hello"]).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (mut connection, _) = silent.accept().unwrap();
    connection.read_exact(&mut [0]).unwrap();
    send_signal(&child, "HUP");
    // It waits on, and ends by the end of the connection.
    drop(connection);
    let log = stderr(&child.wait_with_output().unwrap());
    assert!(log.starts_with("the connection to the facade broke"), "{log}");
}
