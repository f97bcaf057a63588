//! The messages service as a process: its settings, its first line, its exit codes.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tokio_stream::pending;
use tonic::transport::Channel;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
};

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_messages-service"));
    command.env_remove("MESSAGES_LISTEN").env_remove("RUST_LOG");
    command
}

fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

/// Ends the process even if the test fails.
struct Running {
    child: Child,
    addr: String,
}

impl Running {
    fn start() -> Self {
        let mut child = command()
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim_end().strip_prefix("listening addr=").unwrap().to_owned();
        Self { child, addr }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_ends_it_with_success() {
    for signal in ["TERM", "INT"] {
        let mut service = Running::start();
        service.signal(signal);
        assert_eq!(service.child.wait().unwrap().code(), Some(0), "{signal}");
        let mut log = String::new();
        service.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(log.contains("stopping"), "{log}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut service = Running::start();
    let endpoint = Channel::from_shared(format!("http://{}", service.addr)).unwrap();
    let mut client = ServerReflectionClient::new(endpoint.connect().await.unwrap());
    let endless = pending::<ServerReflectionRequest>();
    let _open = client.server_reflection_info(endless).await.unwrap();

    service.signal("INT");
    let mut log = BufReader::new(service.child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("stopping") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended with a call still open");
    }
    service.signal("INT");
    assert_eq!(service.child.wait().unwrap().code(), Some(130));
}

/// An output that is not read any more, as a pipe to a program that ended.
fn closed_pipe() -> Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

#[test]
fn an_output_that_is_not_read_disturbs_nothing() {
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let child = command()
        .args(["--listen", &addr])
        .stdout(closed_pipe())
        .stderr(closed_pipe())
        .spawn()
        .unwrap();
    let mut service = Running { child, addr };
    while TcpStream::connect(&service.addr).is_err() {
        assert_eq!(service.child.try_wait().unwrap(), None, "it ended");
        std::thread::yield_now();
    }
    // It logs the signal before it acts on it.
    service.signal("TERM");
    let started = Instant::now();
    let ended = loop {
        match service.child.try_wait().unwrap() {
            Some(ended) => break ended,
            None => assert!(started.elapsed() < Duration::from_secs(10), "it does not stop"),
        }
        std::thread::yield_now();
    };
    assert_eq!(ended.code(), Some(0));

    let mut wrong = command();
    wrong.args(["--listen", "localhost"]).stderr(closed_pipe());
    assert_eq!(wrong.status().unwrap().code(), Some(64));
}

#[test]
fn a_wrong_setting_is_named_and_exits_64() {
    let output = run(&["--listen", "localhost"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{error}");
    assert!(error.contains("--listen \"localhost\""), "{error}");

    assert_eq!(run(&["--lisen", "127.0.0.1:0"]).status.code(), Some(64));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}

#[test]
fn a_taken_port_is_named_and_exits_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = run(&["--listen", &addr]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{error}");
    assert!(error.starts_with(&format!("cannot listen on {addr}: ")), "{error}");
}
