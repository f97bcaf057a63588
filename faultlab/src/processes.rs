//! Real programs: started, killed, frozen and started again.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, BufRead as _, BufReader, Read},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{sync::oneshot, time::timeout};

/// From a started program to one that accepts work, a checked journal included.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// From the request to stop to the end.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a stopping program is looked at.
const STOP_POLL: Duration = Duration::from_millis(10);

/// Why a program does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started, signalled or waited for.
    #[error("{name}: {error}")]
    System {
        /// The program.
        name: &'static str,
        /// What the operating system said.
        error: io::Error,
    },
    /// It ended before it accepted work, or took too long.
    #[error("{name} did not come up{}; its log is {}", ended.map_or(String::new(), |code| format!(": it exited with {code}")), log.display())]
    NotUp {
        /// The program.
        name: &'static str,
        /// Its exit code, if it ended.
        ended: Option<i32>,
        /// Where its log lines are.
        log: PathBuf,
    },
}

/// A program that runs, or was killed and can be started again. Dropping it kills it.
///
/// It is asked for nothing but to print `listening addr=<ip:port>` once it accepts work. Its
/// standard input is a pipe, so that it can tell when whoever started it is gone.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    command: Vec<OsString>,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `command`, with its log lines appended to a file in `dir`, and returns once it accepts
    /// work. It sees no environment, so that no setting of the person here reaches it.
    ///
    /// # Errors
    /// [`ProcessError`]: it does not run.
    pub async fn start(
        name: &'static str,
        command: Vec<OsString>,
        dir: &Path,
    ) -> Result<(Self, SocketAddr), ProcessError> {
        let log = dir.join(format!("{name}.log"));
        let (child, listening) = launch(&command, &log).map_err(|error| system(name, error))?;
        let mut process = Self { name, command, log, child };
        let address = process.up(listening).await?;
        Ok((process, address))
    }

    /// Starts it again with the same arguments. If it still runs, it is killed first.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub async fn restart(&mut self) -> Result<SocketAddr, ProcessError> {
        self.kill()?;
        let (child, listening) =
            launch(&self.command, &self.log).map_err(|error| system(self.name, error))?;
        self.child = child;
        self.up(listening).await
    }

    async fn up(
        &mut self,
        listening: oneshot::Receiver<SocketAddr>,
    ) -> Result<SocketAddr, ProcessError> {
        if let Ok(Ok(address)) = timeout(START_TIMEOUT, listening).await {
            return Ok(address);
        }
        // It closed its output: it is about to end, if it has not ended yet.
        let ended = self.ended_within(Duration::from_secs(1)).await?;
        Err(ProcessError::NotUp { name: self.name, ended, log: self.log.clone() })
    }

    /// Ends it as a power switch would end the process (SIGKILL). Returns once it is gone.
    ///
    /// # Errors
    /// The operating system refused.
    pub fn kill(&mut self) -> Result<(), ProcessError> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(|_| ()).map_err(|error| system(self.name, error))
    }

    /// Asks it to stop in good order (SIGTERM), and kills it if it takes too long.
    ///
    /// # Errors
    /// The operating system refused.
    pub async fn stop(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::TERM)?;
        self.ended_within(STOP_TIMEOUT).await?;
        self.kill()
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
    pub fn thaw(&self) -> Result<(), ProcessError> {
        self.signal(Signal::CONT)
    }

    /// The most memory it has held since its start, in bytes.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn peak_memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        let kibibytes: Option<u64> = kibibytes.and_then(|count| count.parse().ok());
        let unknown = || io::Error::other("the system tells no peak of the memory");
        kibibytes.map(|count| count * 1024).ok_or_else(unknown)
    }

    /// Whether it runs; a frozen one does.
    ///
    /// # Errors
    /// The operating system refused.
    pub fn runs(&mut self) -> Result<bool, ProcessError> {
        let status = self.child.try_wait().map_err(|error| system(self.name, error))?;
        Ok(status.is_none())
    }

    fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|error| system(self.name, error.into()))
    }

    async fn ended_within(&mut self, within: Duration) -> Result<Option<i32>, ProcessError> {
        let ended = timeout(within, async {
            while self.runs()? {
                tokio::time::sleep(STOP_POLL).await;
            }
            let status = self.child.wait().map_err(|error| system(self.name, error))?;
            Ok(status.code())
        });
        ended.await.unwrap_or(Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn system(name: &'static str, error: io::Error) -> ProcessError {
    ProcessError::System { name, error }
}

fn launch(command: &[OsString], log: &Path) -> io::Result<(Child, oneshot::Receiver<SocketAddr>)> {
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    let (program, args) =
        command.split_first().ok_or_else(|| io::Error::other("there is no program to start"))?;
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        // Ctrl-C is for whoever started this, who then stops the services.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()?;
    let (tell, listening) = oneshot::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::Builder::new().spawn(move || watch(stdout, tell))?;
    }
    Ok((child, listening))
}

/// Reads the output to its end, so that a full pipe never stops a service.
fn watch(stdout: impl Read, tell: oneshot::Sender<SocketAddr>) {
    let mut tell = Some(tell);
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        let address = text.strip_prefix("listening addr=").map(str::trim_end);
        if let Some(address) = address.and_then(|address| address.parse().ok())
            && let Some(tell) = tell.take()
        {
            // Nobody waits any more if it took too long.
            let _ = tell.send(address);
        }
        line.clear();
    }
}
