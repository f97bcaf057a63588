//! The console of a service is not read: its reader has gone, as after `| head -1`, or is blocked,
//! as by Ctrl-S.

use std::{
    io::{PipeReader, Read as _, Write as _, pipe},
    net::{SocketAddr, TcpStream},
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

/// 1,000 acknowledgements of PINGs that nobody sent, in HTTP/2 frames. Returns once they were looked at.
fn send_unasked_acknowledgements(addr: SocketAddr) {
    const PING: [u8; 9] = [0, 0, 8, 6, 0, 0, 0, 0, 0];
    const ACKNOWLEDGED: [u8; 9] = [0, 0, 8, 6, 1, 0, 0, 0, 0];
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let frames = [ACKNOWLEDGED.as_slice(), &[7; 8]].concat().repeat(1000);
    let question = [PING.as_slice(), &[9; 8]].concat();
    let sent = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &SETTINGS[..], &frames, &question].concat();
    let answer = [ACKNOWLEDGED.as_slice(), &[9; 8]].concat();
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&sent).unwrap();
    let mut answers = Vec::new();
    while !answers.windows(answer.len()).any(|window| window == answer) {
        let mut some = [0; 1024];
        let read = stream.read(&mut some).unwrap();
        assert_ne!(read, 0, "it closed the connection");
        answers.extend_from_slice(&some[..read]);
    }
}

/// What a service that `filter` was given writes to standard error until its stop, after a stranger has sent
/// what is above.
async fn lines_about_a_stranger(program: Program, filter: Option<&str>) -> Vec<String> {
    let listen = free_address().unwrap();
    let mut args = vec!["--listen".to_owned(), listen.to_string()];
    if program == Program::Logging {
        args.extend(["--store".to_owned(), "memory".to_owned()]);
    }
    let mut command = Command::new(program.path().unwrap());
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null());
    command.envs(filter.map(|filter| ("RUST_LOG", filter))).stderr(Stdio::piped());
    let mut service = Killed(command.spawn().unwrap());
    eventually("a service", Duration::from_secs(20), async || TcpStream::connect(listen).ok())
        .await;
    let mut console = service.0.stderr.take().unwrap();
    let lines = tokio::task::spawn_blocking(move || {
        let mut lines = String::new();
        console.read_to_string(&mut lines).unwrap();
        lines
    });
    tokio::task::spawn_blocking(move || send_unasked_acknowledgements(listen)).await.unwrap();
    kill_process(Pid::from_child(&service.0), Signal::TERM).unwrap();
    lines.await.unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_stranger_does_not_write_the_log() {
    for program in [Program::Logging, Program::Messages] {
        for quiet in [None, Some("info"), Some("warn")] {
            let lines = lines_about_a_stranger(program, quiet).await;
            assert!(lines.len() <= 8, "{} lines: {:?}", lines.len(), lines.first_chunk::<8>());
            assert!(!lines.iter().any(|line| line.contains("recv PING ack")), "{lines:?}");
            let counts = lines.iter().filter_map(|line| {
                let (_, counted) = line.split_once("counted and not shown: ")?;
                counted.strip_suffix(" of h2; RUST_LOG=info,h2=warn shows each")
            });
            let counts: Vec<u32> = counts.map(|count| count.parse().unwrap()).collect();
            assert_eq!(counts.iter().sum::<u32>(), 1000, "{lines:?}");
            assert!(counts.len() <= 2, "the first, and the others at the stop: {lines:?}");
        }
        let lines = lines_about_a_stranger(program, Some("info,h2=warn")).await;
        let shown = lines.iter().filter(|line| line.contains("recv PING ack")).count();
        assert_eq!(shown, 1000);
        assert!(!lines.iter().any(|line| line.contains("not shown")), "they are shown");
    }
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
