//! Real programs: started, killed, frozen and started again.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, BufRead as _, BufReader, Read},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    resources::{Resource, Usage},
    wait::until,
};

/// From a started program to one that accepts work, a checked journal included.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// From the request to stop to the end.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// From the end of a program to the end of its output, which its own children may keep open.
const OUTPUT_TIMEOUT: Duration = Duration::from_millis(200);

/// Lines of standard output that are kept, and lines of each stream that a failed test shows.
const LINES_KEPT: usize = 60;

/// Why a program does not run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The line before a variant says what its fields are.
pub enum ProcessError {
    /// It could not be started, signalled or waited for.
    #[error("{name}: {error}")]
    System { name: &'static str, error: io::Error },
    /// It ended before it accepted work, with the exit code `ended`, or took too long.
    #[error("{name} did not come up{}; its log is {}", ended.map_or(String::new(), |code| format!(": it exited with {code}")), log.display())]
    NotUp { name: &'static str, ended: Option<i32>, log: PathBuf },
}

/// The process group of a started program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Group {
    /// The group of this program: Ctrl-C ends both.
    #[default]
    Shared,
    /// A group of its own: Ctrl-C reaches this program alone, which then stops the other one.
    Own,
}

/// A program that runs, or was killed and can be started again. Dropping it kills it; if a test has
/// failed, its last lines are shown.
///
/// A program accepts work from the line `listening addr=<ip:port>` on. Its standard input is a pipe
/// that ends with this program. A future that starts, stops or awaits the program may be dropped: the
/// program goes on from where it is.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    command: Vec<OsString>,
    group: Group,
    log: PathBuf,
    /// Where its own lines begin in the log, to which an earlier process may have written.
    log_start: usize,
    pid: Arc<AtomicU32>,
    life: Life,
}

/// From one start of the program to its end.
#[derive(Debug)]
struct Life {
    child: Child,
    listening: Option<oneshot::Receiver<SocketAddr>>,
    stdout: Arc<Mutex<VecDeque<String>>>,
    reader: JoinHandle<()>,
}

impl Process {
    /// Starts `command` and returns at once. Its standard error is appended to the file `name`.log in
    /// `dir`. It gets no environment, so that no setting of the caller reaches it.
    ///
    /// # Errors
    /// [`ProcessError::System`]: it could not be started.
    pub fn spawn(
        name: &'static str,
        command: Vec<OsString>,
        dir: &Path,
        group: Group,
    ) -> Result<Self, ProcessError> {
        let log = dir.join(format!("{name}.log"));
        let log_start = fs::metadata(&log).map_or(0, |log| log.len() as usize);
        let life = Life::start(&command, &log, group).map_err(|error| system(name, error))?;
        let pid = Arc::new(AtomicU32::new(life.child.id()));
        Ok(Self { name, command, group, log, log_start, pid, life })
    }

    /// As [`Process::spawn`], and returns once the program accepts work.
    ///
    /// # Errors
    /// [`ProcessError`]: it does not run.
    pub async fn start(
        name: &'static str,
        command: Vec<OsString>,
        dir: &Path,
        group: Group,
    ) -> Result<(Self, SocketAddr), ProcessError> {
        let mut process = Self::spawn(name, command, dir, group)?;
        let address = process.listening().await?;
        Ok((process, address))
    }

    /// Starts it again with the same arguments. If it still runs, it is killed first.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub async fn restart(&mut self) -> Result<SocketAddr, ProcessError> {
        self.kill()?;
        self.life = Life::start(&self.command, &self.log, self.group)
            .map_err(|error| system(self.name, error))?;
        self.pid.store(self.id(), Ordering::Relaxed);
        self.listening().await
    }

    async fn listening(&mut self) -> Result<SocketAddr, ProcessError> {
        if let Some(listening) = self.life.listening.take()
            && let Ok(Ok(address)) = timeout(START_TIMEOUT, listening).await
        {
            return Ok(address);
        }
        // It closed its output: it is about to end, if it has not ended yet.
        let ended = self.ended(Duration::from_secs(1)).await?.and_then(|status| status.code());
        Err(ProcessError::NotUp { name: self.name, ended, log: self.log.clone() })
    }

    /// The number the operating system knows it by.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.life.child.id()
    }

    /// Ends it as a power switch would end the process (SIGKILL). Returns once it is gone.
    ///
    /// # Errors
    /// The operating system refused.
    pub fn kill(&mut self) -> Result<(), ProcessError> {
        let killed = self.life.child.kill().and_then(|()| self.life.child.wait());
        killed.map(|_| ()).map_err(|error| system(self.name, error))
    }

    /// Asks it to stop in good order (SIGTERM), and kills it if it takes too long. Returns its exit
    /// code, or `None` if it was killed.
    ///
    /// # Errors
    /// The operating system refused.
    pub async fn stop(&mut self) -> Result<Option<i32>, ProcessError> {
        self.end_by(Signal::TERM).await
    }

    /// As [`Process::stop`], as Ctrl-C would (SIGINT).
    ///
    /// # Errors
    /// The operating system refused.
    pub async fn interrupt(&mut self) -> Result<Option<i32>, ProcessError> {
        self.end_by(Signal::INT).await
    }

    /// Tells it that its terminal was closed (SIGHUP).
    ///
    /// # Errors
    /// The operating system refused.
    pub fn hang_up(&self) -> Result<(), ProcessError> {
        self.signal(Signal::HUP)
    }

    async fn end_by(&mut self, signal: Signal) -> Result<Option<i32>, ProcessError> {
        self.signal(signal)?;
        let status = self.ended(STOP_TIMEOUT).await?;
        self.kill()?;
        Ok(status.and_then(|status| status.code()))
    }

    /// Stops it from running, as a long pause of the machine would (SIGSTOP).
    ///
    /// # Errors
    /// The operating system refused.
    pub fn freeze(&self) -> Result<(), ProcessError> {
        self.signal(Signal::STOP)
    }

    /// Lets it run again (SIGCONT).
    ///
    /// # Errors
    /// The operating system refused.
    pub fn resume(&self) -> Result<(), ProcessError> {
        self.signal(Signal::CONT)
    }

    /// Its name, and its process id, which changes when it is started again.
    #[must_use]
    pub fn watched(&self) -> (&'static str, Arc<AtomicU32>) {
        (self.name, Arc::clone(&self.pid))
    }

    /// The most memory it has held since its start, in bytes.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn peak_memory(&self) -> io::Result<u64> {
        let usage = Usage::of(self.id()).map(|usage| usage.get(Resource::Memory));
        usage.ok_or_else(|| io::Error::other("the system tells no peak of the memory"))
    }

    /// Whether it runs; a frozen one does.
    ///
    /// # Errors
    /// The operating system refused.
    pub fn runs(&mut self) -> Result<bool, ProcessError> {
        let status = self.life.child.try_wait().map_err(|error| system(self.name, error))?;
        Ok(status.is_none())
    }

    /// How it ended, if it does so in time.
    ///
    /// # Errors
    /// The operating system refused.
    pub async fn ended(&mut self, within: Duration) -> Result<Option<ExitStatus>, ProcessError> {
        let ended = until(within, async || self.life.child.try_wait().transpose()).await;
        let status = ended.transpose().map_err(|error| system(self.name, error))?;
        if status.is_some() {
            // Its last lines may still be on their way.
            until(OUTPUT_TIMEOUT, async || self.life.reader.is_finished().then_some(())).await;
        }
        Ok(status)
    }

    /// Its last lines on standard output since its last start.
    #[must_use]
    pub fn stdout(&self) -> Vec<String> {
        lock(&self.life.stdout).iter().cloned().collect()
    }

    /// Its lines on standard error so far, those before a restart included.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        let log = fs::read(&self.log).unwrap_or_default();
        let own = String::from_utf8_lossy(log.get(self.log_start..).unwrap_or_default());
        own.lines().map(str::to_owned).collect()
    }

    /// Its lines on standard error that contain `part`.
    #[must_use]
    pub fn stderr_with(&self, part: &str) -> Vec<String> {
        self.stderr().into_iter().filter(|line| line.contains(part)).collect()
    }

    fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        kill_process(Pid::from_child(&self.life.child), signal)
            .map_err(|error| system(self.name, error.into()))
    }

    #[allow(clippy::print_stderr)] // For the reader of a failed test.
    fn show(&self) {
        for (stream, lines) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
            let first = lines.len().saturating_sub(LINES_KEPT);
            eprintln!("--- {} {stream}, the last of {} lines", self.name, lines.len());
            lines[first..].iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.life.child.kill();
        let _ = self.life.child.wait();
        if thread::panicking() {
            self.show();
        }
    }
}

impl Life {
    fn start(command: &[OsString], log: &Path, group: Group) -> io::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let (program, args) = command
            .split_first()
            .ok_or_else(|| io::Error::other("there is no program to start"))?;
        let mut command = Command::new(program);
        command.args(args).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        if group == Group::Own {
            command.process_group(0);
        }
        let mut child = command.spawn()?;
        let (tell, listening) = oneshot::channel();
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stdout = Arc::default();
        let kept = Arc::clone(&stdout);
        let reader = thread::Builder::new().spawn(move || read(output, tell, &kept))?;
        Ok(Self { child, listening: Some(listening), stdout, reader })
    }
}

fn system(name: &'static str, error: io::Error) -> ProcessError {
    ProcessError::System { name, error }
}

fn lock(lines: &Mutex<VecDeque<String>>) -> MutexGuard<'_, VecDeque<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the output to its end, so that a full pipe never stops a service.
fn read(stdout: impl Read, tell: oneshot::Sender<SocketAddr>, kept: &Mutex<VecDeque<String>>) {
    let mut tell = Some(tell);
    let mut output = BufReader::new(stdout);
    let mut line = Vec::new();
    while matches!(output.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let address = text.strip_prefix("listening addr=").and_then(|address| address.parse().ok());
        let mut lines = lock(kept);
        if lines.len() == LINES_KEPT {
            lines.pop_front();
        }
        lines.push_back(text);
        drop(lines);
        if let Some(address) = address
            && let Some(tell) = tell.take()
        {
            // The receiver is gone if the start took too long.
            let _ = tell.send(address);
        }
        line.clear();
    }
}
