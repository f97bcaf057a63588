//! The console of a service is not read: its reader has gone, as after `| head -1`, or is blocked,
//! as by Ctrl-S.

use std::{
    io::{PipeReader, Write as _, pipe},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use faultlab::{cluster::free_address, programs::Program};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Client, eventually};

/// A pipe without a reader: each write to it fails.
fn unread() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A pipe that is full, so that each write to it waits as long as the reader is there.
fn blocked() -> (PipeReader, Stdio) {
    const PIPE_BYTES: usize = 64 * 1024;
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(&[b'.'; PIPE_BYTES]).unwrap();
    (reader, writer.into())
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: Program, args: &[&str], stdout: Stdio, stderr: Stdio) -> Killed {
    let mut command = Command::new(program.path().unwrap());
    command.args(args).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    Killed(command.spawn().unwrap())
}

#[tokio::test]
async fn a_service_with_an_unread_console_works_and_retries() {
    let (listen, absent) = (free_address().unwrap(), format!("http://{}", free_address().unwrap()));
    let timeouts = ["--attempt-timeout", "200ms", "--total-timeout", "1s"];
    let args = ["--listen", &listen.to_string(), "--logging-url", &absent];
    let args = [&args[..], &timeouts].concat();
    let mut facade = start(Program::Facade, &args, unread(), unread());
    let client = Client::new(listen);
    eventually("a facade", Duration::from_secs(20), async || {
        assert!(facade.0.try_wait().unwrap().is_none(), "it ended");
        client.get("/healthz").await.ok()
    })
    .await;
    // Each retry is a line for the console.
    for msg in ["one", "two"] {
        let answer = client.post(msg, None).await.unwrap().expect(503);
        assert_eq!(answer.json()["stored"], "no");
    }
}

#[test]
fn a_service_without_a_console_ends_with_the_right_code() {
    for program in [Program::Logging, Program::Messages] {
        let mut service = start(program, &["--listen", "nonsense"], unread(), unread());
        assert_eq!(service.0.wait().unwrap().code(), Some(64), "{}", program.name());
    }
}

#[tokio::test]
async fn a_service_with_a_blocked_or_unread_console_stops_all_the_same() {
    let (_reader, blocked) = blocked();
    for (stdout, stderr) in [(Stdio::null(), blocked), (unread(), unread())] {
        let listen = free_address().unwrap();
        let args = ["--listen", &listen.to_string()];
        let mut messages = start(Program::Messages, &args, stdout, stderr);
        eventually("a service", Duration::from_secs(20), async || {
            assert!(messages.0.try_wait().unwrap().is_none(), "it ended");
            TcpStream::connect(listen).ok()
        })
        .await;
        // It logs the signal before it acts on it.
        kill_process(Pid::from_child(&messages.0), Signal::TERM).unwrap();
        let ended = async || messages.0.try_wait().unwrap();
        let status = eventually("its end", Duration::from_secs(15), ended).await;
        assert_eq!(status.code(), Some(0));
    }
}
