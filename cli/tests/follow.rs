//! `oncelog read` while the service that it reads from is lost and comes back, and when its own output is
//! closed.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Lines},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tonic::Status;

use self::support::{
    cluster::Cluster,
    interrupt,
    logging::{self, Turn},
    oncelog, run, signal, spawn, stderr, stdout,
};

/// A running `oncelog read`. Dropping it kills it.
struct Reader {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    notes: Lines<BufReader<ChildStderr>>,
}

impl Reader {
    fn start(url: &str, args: &[&str]) -> Self {
        let mut child = spawn(&[&["read", "--logging-url", url], args].concat());
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let notes = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, out, notes }
    }

    fn line(&mut self) -> String {
        self.out.next().unwrap().unwrap()
    }

    /// The next line of standard error.
    fn note(&mut self) -> String {
        self.notes.next().unwrap().unwrap()
    }

    /// How it ends, by itself, and what standard error has then.
    fn end(&mut self) -> (ExitStatus, Vec<String>) {
        let status = end(&mut self.child);
        (status, self.notes.by_ref().map(Result::unwrap).collect())
    }
}

/// How `child` ends by itself.
fn end(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it goes on");
        }
        thread::yield_now();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(cluster: &Cluster, text: &str) {
    let output = run(&["send", "--url", &cluster.facade, text]);
    assert!(output.status.success(), "{output:?}");
}

fn broken(after: usize) -> Turn {
    Turn::Breaks(after, Status::unavailable("stopping"))
}

fn refused() -> Turn {
    Turn::Refused(Status::unavailable("the log is being checked"))
}

fn bodies(count: usize) -> Vec<Vec<u8>> {
    (1..=count).map(|number| number.to_string().into_bytes()).collect()
}

#[test]
fn following_goes_on_after_a_restart_and_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start_in(dir.path());
    let mut reader = Reader::start(&cluster.logging, &["--follow"]);
    for (index, stop) in ["TERM", "KILL"].iter().enumerate() {
        let text = format!("before {stop}");
        send(&cluster, &text);
        assert_eq!(reader.line(), text);
        signal(&cluster.child, stop);
        let note = reader.note();
        let place = format!("; reading goes on after sequence {} once it is back", 2 * index + 1);
        assert!(note.ends_with(&place), "{note}");
        cluster = cluster.start_again_in(dir.path());
        let text = format!("after {stop}");
        send(&cluster, &text);
        assert_eq!(reader.line(), text);
        assert_eq!(reader.note(), "reconnected to the logging service");
    }
    interrupt(&reader.child);
    let (status, notes) = reader.end();
    assert_eq!((status.code(), notes), (Some(0), vec![]));
}

#[test]
fn a_service_that_is_frozen_is_noticed_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_in(dir.path());
    let mut reader = Reader::start(&cluster.logging, &["--follow"]);
    send(&cluster, "before");
    assert_eq!(reader.line(), "before");
    signal(&cluster.child, "STOP");
    let note = reader.note();
    signal(&cluster.child, "CONT");
    assert!(note.starts_with("the connection to the logging service broke: "), "{note}");
    send(&cluster, "after");
    assert_eq!(reader.line(), "after");
    assert_eq!(reader.note(), "reconnected to the logging service");
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_end_a_reader_that_waits_for_the_service() {
    for (name, args, code) in
        [("INT", &["--follow"][..], 0), ("TERM", &["--follow"], 0), ("INT", &[], 130)]
    {
        let turns = [broken(2)].into_iter().chain((0..10_000).map(|_| refused()));
        let (url, _) = logging::start_in_turns(bodies(3), turns).await;
        let mut reader = Reader::start(&url, args);
        assert_eq!([reader.line(), reader.line()], ["1", "2"]);
        reader.note();
        signal(&reader.child, name);
        assert_eq!(reader.end().0.code(), Some(code), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_breaks_off_goes_on_where_it_was() {
    for (limit, shown) in [(0, 6), (5, 5)] {
        let turns = [broken(2), broken(0), refused(), broken(1)];
        let (url, seen) = logging::start_in_turns(bodies(6), turns).await;
        let output = run(&["read", "--logging-url", &url, "-n", &limit.to_string()]);
        assert!(output.status.success(), "{output:?}");
        let expected: String = (1..=shown).map(|number| format!("{number}\n")).collect();
        assert_eq!(stdout(&output), expected);
        let asked: Vec<_> =
            seen.lock().unwrap().iter().map(|read| (read.after, read.limit)).collect();
        let left = |read: u64| if limit == 0 { 0 } else { limit - read };
        assert_eq!(asked, [(0, limit), (2, left(2)), (2, left(2)), (2, left(2)), (3, left(3))]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_once_and_so_is_its_end() {
    let (url, _) = logging::start_in_turns(bodies(3), [broken(2), refused(), refused()]).await;
    let output = run(&["read", "--logging-url", &url, "--follow", "-n", "3"]);
    assert_eq!((output.status.code(), &stdout(&output)[..]), (Some(0), "1\n2\n3\n"));
    let place = "reading goes on after sequence 2 once it is back";
    let expected =
        format!("reading broke off: stopping; {place}\nreconnected to the logging service\n");
    assert_eq!(stderr(&output), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_gives_up_after_the_time_it_was_given() {
    for (args, reads) in [
        (&["--retry-for", "0s"][..], 1..2),
        (&["--retry-for", "0s", "--follow"], 1..2),
        (&["--retry-for", "300ms"], 2..1000),
    ] {
        let turns = [broken(2)].into_iter().chain((0..10_000).map(|_| refused()));
        let (url, seen) = logging::start_in_turns(bodies(3), turns).await;
        let output = run(&[&["read", "--logging-url", &url], args].concat());
        assert_eq!((output.status.code(), &stdout(&output)[..]), (Some(69), "1\n2\n"));
        let last = stderr(&output).lines().last().unwrap().to_owned();
        assert!(last.ends_with("; go on with --after 2"), "{last}");
        assert!(reads.contains(&seen.lock().unwrap().len()), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waiting_cannot_mend_ends_a_follower() {
    for (error, expected) in [
        (Status::out_of_range("the log ends at sequence 1"), "\nthe log ends at sequence 1\n"),
        (Status::permission_denied("not for\nyou"), " refuses the read: not for\\nyou\n"),
        (Status::unimplemented("no log here"), " refuses the read: no log here\n"),
        (Status::data_loss("a record is damaged"), " refuses the read: a record is damaged\n"),
    ] {
        let follow = async |turns: Vec<Turn>| {
            let (url, seen) = logging::start_in_turns(bodies(3), turns).await;
            let output = run(&["read", "--logging-url", &url, "--follow"]);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let reads = seen.lock().unwrap().len();
            (stdout(&output), stderr(&output), reads)
        };
        let (out, notes, reads) = follow(vec![broken(2), Turn::Refused(error.clone())]).await;
        assert_eq!((&out[..], reads), ("1\n2\n", 2));
        assert!(notes.ends_with(expected), "{notes}");
        // At the start, and in the middle.
        assert_eq!(follow(vec![Turn::Refused(error.clone())]).await.2, 1);
        assert_eq!(follow(vec![Turn::Breaks(1, error)]).await.2, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_printed_is_not_printed_again() {
    let (url, _) = logging::start_in_turns(bodies(3), [Turn::FromTheStart]).await;
    let output = run(&["read", "--logging-url", &url, "--after", "2"]);
    assert_eq!((output.status.code(), &stdout(&output)[..]), (Some(1), ""));
    let expected = "the logging service sent sequence 1 after 2; it may be of a later version\n";
    assert_eq!(stderr(&output), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_ends_as_soon_as_its_output_is_closed() {
    let (url, _) = logging::start_in_turns(bodies(2), []).await;
    let (pipe_end, pipe) = std::io::pipe().unwrap();
    let (socket_end, socket) = UnixStream::pair().unwrap();
    let pipe: (OwnedFd, OwnedFd) = (pipe_end.into(), pipe.into());
    let socket: (OwnedFd, OwnedFd) = (socket_end.into(), socket.into());
    for (ours, theirs) in [pipe, socket] {
        let mut command = oncelog();
        command.args(["read", "--follow", "--logging-url", &url]);
        command.stdout(theirs).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It keeps the other end open.
        drop(command);
        let mut lines = BufReader::new(File::from(ours)).lines();
        assert_eq!([lines.next(), lines.next()].map(|line| line.unwrap().unwrap()), ["1", "2"]);
        // No message comes that a write could fail with.
        drop(lines);
        assert_eq!(end(&mut child).code(), Some(0));
        assert_eq!(stderr(&child.wait_with_output().unwrap()), "");
    }
}

#[test]
fn a_follower_into_a_file_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start_in(dir.path());
    let path = dir.path().join("out");
    let mut command = oncelog();
    command.args(["read", "--follow", "--logging-url", &cluster.logging]);
    let mut child = command.stdout(File::create(&path).unwrap()).spawn().unwrap();
    let mut expected = String::new();
    for text in ["a", "b"] {
        send(&cluster, text);
        expected += &format!("{text}\n");
        while fs::read_to_string(&path).unwrap() != expected {
            assert_eq!(child.try_wait().unwrap(), None);
            thread::yield_now();
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
