//! One running program: its lines, its signals, its end.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{programs::Program, wait::eventually};

/// From the start of a program to the line that says it accepts work.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// From a signal that must end a process to its end.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Lines shown of each stream when a test fails.
const LINES_SHOWN: usize = 60;

/// Settings of the person who runs the tests, which must not reach the programs under test.
const FOREIGN_SETTINGS: [&str; 4] = ["FACADE_", "LOGGING_", "MESSAGES_", "RUST_LOG"];

type Lines = Arc<Mutex<Vec<String>>>;

/// A running program. Dropping it kills it; if the test has failed, its last lines are shown.
#[derive(Debug)]
pub(crate) struct Process {
    program: Program,
    args: Vec<OsString>,
    directory: Option<PathBuf>,
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Process {
    /// Starts `program` and returns at once.
    pub(crate) fn spawn<A: Into<OsString>>(
        program: Program,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::spawn_in(program, args.into_iter().map(Into::into).collect(), None)
    }

    /// As [`Process::spawn`], with a working directory.
    pub(crate) fn spawn_in(
        program: Program,
        args: Vec<OsString>,
        directory: Option<PathBuf>,
    ) -> Self {
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let child = launch(program, &args, directory.as_ref(), &stdout, &stderr);
        Self { program, args, directory, child, stdout, stderr }
    }

    /// Starts `program` and returns once it accepts work.
    pub(crate) async fn start<A: Into<OsString>>(
        program: Program,
        args: impl IntoIterator<Item = A>,
    ) -> (Self, SocketAddr) {
        let mut process = Self::spawn(program, args);
        let address = process.listening(0).await;
        (process, address)
    }

    /// Starts it once more with the same arguments, so on the same port and data, and returns once
    /// it accepts work. It must have ended.
    pub(crate) async fn restart(&mut self) -> SocketAddr {
        let seen = self.stdout().len();
        self.relaunch();
        self.listening(seen).await
    }

    /// As [`Process::restart`], but returns at once.
    pub(crate) fn relaunch(&mut self) {
        assert!(self.exit_status().is_some(), "{} still runs", self.program.name());
        let directory = self.directory.as_ref();
        self.child = launch(self.program, &self.args, directory, &self.stdout, &self.stderr);
    }

    /// Waits for the line `listening addr=<ip:port>`, ignoring the first `seen` lines.
    async fn listening(&mut self, seen: usize) -> SocketAddr {
        let name = self.program.name();
        eventually(&format!("`listening addr=` from {name}"), START_TIMEOUT, async || {
            let ended = self.exit_status();
            let address = self.stdout().iter().skip(seen).find_map(|line| {
                line.strip_prefix("listening addr=").map(|address| address.parse().unwrap())
            });
            assert!(address.is_some() || ended.is_none(), "{name} ended early: {ended:?}");
            address
        })
        .await
    }

    /// Ends it as a power switch would end the process: SIGKILL. Returns once it is gone.
    pub(crate) fn kill_hard(&mut self) {
        self.child.kill().expect("own child");
        self.child.wait().expect("own child");
    }

    /// Asks it to stop (SIGTERM) and returns its exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        self.ask_to_stop();
        self.exit_code(STOP_TIMEOUT).await
    }

    /// Stops it as Ctrl-C would (SIGINT) and returns its exit code.
    pub(crate) async fn interrupt(&mut self) -> Option<i32> {
        self.signal(Signal::INT);
        self.exit_code(STOP_TIMEOUT).await
    }

    /// Asks it to stop (SIGTERM) and returns at once.
    pub(crate) fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it from running, as a long pause of the machine would (SIGSTOP).
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it run again (SIGCONT).
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("own child");
    }

    /// Waits until it has ended by itself. `None` if a signal ended it.
    pub(crate) async fn exit_code(&mut self, within: Duration) -> Option<i32> {
        let what = format!("the end of {}", self.program.name());
        let status = eventually(&what, within, async || self.exit_status()).await;
        // Its last lines may still be on their way.
        eventually("its output", within, async || self.is_silent().then_some(())).await;
        status.code()
    }

    fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("own child")
    }

    /// Whether both streams are closed and read to their end.
    fn is_silent(&self) -> bool {
        Arc::strong_count(&self.stdout) == 1 && Arc::strong_count(&self.stderr) == 1
    }

    /// Its lines on standard output so far, earlier lives included.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.stdout.lock().unwrap().clone()
    }

    /// Its lines on standard error so far, earlier lives included.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.stderr.lock().unwrap().clone()
    }

    /// Lines on standard error that contain `part`.
    pub(crate) fn stderr_with(&self, part: &str) -> Vec<String> {
        self.stderr().into_iter().filter(|line| line.contains(part)).collect()
    }

    fn show(&self) {
        let name = self.program.name();
        for (stream, lines) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
            let first = lines.len().saturating_sub(LINES_SHOWN);
            eprintln!("--- {name} {stream}: {} lines, the last ones are", lines.len());
            lines[first..].iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.show();
        }
    }
}

fn launch(
    program: Program,
    args: &[OsString],
    directory: Option<&PathBuf>,
    stdout: &Lines,
    stderr: &Lines,
) -> Child {
    let mut command = Command::new(program.path());
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if FOREIGN_SETTINGS.iter().any(|foreign| name.to_string_lossy().starts_with(foreign)) {
            command.env_remove(name);
        }
    }
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.name()));
    collect(child.stdout.take().expect("piped"), stdout);
    collect(child.stderr.take().expect("piped"), stderr);
    child
}

/// Reads a stream to its end on a thread of its own, so that a full pipe never stops a service.
fn collect(stream: impl Read + Send + 'static, lines: &Lines) {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            lines.lock().unwrap().push(text);
            line.clear();
        }
    });
}
