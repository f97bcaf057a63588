//! `faultlab limits`: the logging service under limits of the operating system: size of a file, open files,
//! memory. It may refuse, and it may end. It must not break a promise.

use std::{ffi::OsString, fs, path::Path, time::Duration};

use tokio::net::TcpStream;

use super::{Goals, NotRun, Scratch, say};
use crate::{
    checker::broken,
    cluster::{Cluster, Programs},
    history::Outcome,
    load::{Client, Ledger, read_whole},
    nemesis::Link,
    processes::ProcessError,
    programs::under,
};

/// Times a post is repeated in the end.
const SETTLE_TRIES: usize = 5;

/// One limit, and what is done under it.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    /// Tools that set the limit and become the program, each with its flag.
    before: &'static [(&'static str, &'static str)],
    /// Connections that are held open beside the posts.
    flood: usize,
    /// Bytes of one post after another.
    sizes: &'static [usize],
    /// Clients that post all of them at once.
    clients: usize,
    /// Whether everything must be stored under the limit.
    must_store: bool,
}

const CASES: [Case; 8] = [
    Case {
        name: "file size, as an error",
        before: &[("env", "--ignore-signal=XFSZ"), ("prlimit", "--fsize=98304")],
        ..FILE_SIZE
    },
    Case { name: "file size, as a signal", before: &[("prlimit", "--fsize=98304")], ..FILE_SIZE },
    Case {
        name: "1024 open files and a flood",
        before: &[("prlimit", "--nofile=1024")],
        ..OPEN_FILES
    },
    Case { name: "64 open files and a flood", before: &[("prlimit", "--nofile=64")], ..OPEN_FILES },
    Case {
        name: "24 open files and a flood",
        before: &[("prlimit", "--nofile=24")],
        must_store: false,
        ..OPEN_FILES
    },
    Case { name: "40 MiB of memory", before: &[("prlimit", "--as=41943040")], ..MEMORY },
    Case { name: "34 MiB of memory", before: &[("prlimit", "--as=35651584")], ..MEMORY },
    Case { name: "32 MiB of memory", before: &[("prlimit", "--as=33554432")], ..MEMORY },
];

const FILE_SIZE: Case = Case {
    name: "",
    before: &[],
    flood: 0,
    sizes: &[10, 40_000, 10, 40_000, 200_000, 10, 200_000, 40_000, 10],
    clients: 1,
    must_store: false,
};

/// Each post of 40 kB begins a new segment.
const OPEN_FILES: Case = Case { flood: 600, sizes: &[40_000; 24], must_store: true, ..FILE_SIZE };

const MEMORY: Case = Case { sizes: &[300_000; 3], clients: 8, ..FILE_SIZE };

const FEW: [&str; 4] = [
    "file size, as an error",
    "file size, as a signal",
    "64 open files and a flood",
    "32 MiB of memory",
];

/// Which limits to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cases {
    /// All of them.
    All,
    /// One of each kind, for a test.
    Few,
}

/// The results over all limits.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// Cases that were to be tried.
    pub planned: usize,
    /// Cases that were tried.
    pub tried: usize,
    /// Times the service ended under a limit.
    pub ended: usize,
    /// Messages with a receipt.
    pub acknowledged: usize,
    /// Descriptions of what is wrong.
    pub wrong: Vec<String>,
}

impl Results {
    /// The goals, and whether they were reached.
    #[must_use]
    pub fn goals(&self) -> Goals {
        let mut goals = Goals::default();
        let Self { planned, tried, ended, acknowledged, wrong } = self;
        goals.note("limits tried", planned, tried, tried == planned);
        goals.note("receipts", "more than 0", acknowledged, *acknowledged > 0);
        goals.note("ends of the service under a limit", "any", ended, true);
        goals.note("promises broken, posts not stored", 0, wrong.len(), wrong.is_empty());
        goals
    }
}

/// Tries all limits.
pub(super) async fn run() -> Result<Goals, NotRun> {
    Ok(measure(Cases::All, &mut say).await?.goals())
}

/// Tries the limits in `cases`.
///
/// # Errors
/// [`NotRun`]: a tool is missing, or the services do not come up without a limit.
pub async fn measure(cases: Cases, progress: &mut dyn FnMut(&str)) -> Result<Results, NotRun> {
    let scratch = Scratch::new("limits")?;
    let mut programs = Programs::built()?;
    programs.logging.extend(["--segment-size", "64KiB"].map(OsString::from));
    // What a limit refuses stays refused: long timeouts are not needed.
    let timeouts = ["--attempt-timeout", "1s", "--total-timeout", "4s"];
    programs.facade.extend(timeouts.map(OsString::from));
    let program = programs.logging.clone();
    let mut cluster = Cluster::start(programs, scratch.path()).await?;
    let mut results = Results::default();
    let cases = CASES.into_iter().filter(|case| cases == Cases::All || FEW.contains(&case.name));
    for (number, case) in cases.enumerate() {
        results.planned += 1;
        let dir = scratch.path().join(number.to_string());
        fs::create_dir_all(&dir)?;
        let before = results.wrong.len();
        case.run(&mut cluster, &program, &dir, &mut results).await?;
        results.wrong.iter().skip(before).for_each(|wrong| progress(wrong));
        progress(&format!("{}: ended {} times so far", case.name, results.ended));
    }
    Ok(results)
}

impl Case {
    async fn run(
        self,
        cluster: &mut Cluster,
        program: &[OsString],
        dir: &Path,
        results: &mut Results,
    ) -> Result<(), NotRun> {
        let mut command = program.to_vec();
        for (tool, flag) in self.before.iter().rev() {
            command = under(tool, [*flag], &command)?;
        }
        let started = match cluster.replace_logging(command, dir).await {
            Ok(()) => true,
            Err(ProcessError::NotUp { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        let ledger = Ledger::start();
        let client = cluster.client();
        let mut flooding = Vec::new();
        if started && self.flood > 0 {
            // The facade connects first, as in production.
            ledger.post(&client, "first", Some("first")).await;
            flooding = flood(cluster, self.flood).await;
        }
        {
            let work = self.post(&ledger, &client);
            tokio::pin!(work);
            let over = started
                && tokio::select! {
                    () = &mut work => true,
                    ended = cluster.logging.ended(Duration::MAX) => { ended?; false }
                };
            results.ended += usize::from(!over);
            if self.must_store && (!over || ledger.acknowledged() < self.sizes.len()) {
                let stored = ledger.acknowledged();
                results.wrong.push(format!(
                    "{}: {stored} of {} stored",
                    self.name,
                    self.sizes.len()
                ));
            }
            drop(flooding);
            cluster.replace_logging(program.to_vec(), dir).await?;
            if !over {
                work.await;
            }
        }
        ledger.settle(&client, SETTLE_TRIES).await;
        ledger.repeat(&client).await;
        results.tried += 1;
        results.acknowledged += ledger.acknowledged();
        let Some(log) = read_whole(&client, ledger.run()).await else {
            results.wrong.push(format!("{}: the log cannot be read", self.name));
            return Ok(());
        };
        let violations = broken(&ledger.history(), &log);
        let told = violations.iter().take(3).map(|it| format!("{}: {it:.80?}", self.name));
        results.wrong.extend(told);
        cluster.logging.kill()?;
        Ok(())
    }

    async fn post(&self, ledger: &Ledger, client: &Client) {
        let clients = (0..self.clients).map(async |name| {
            for (number, size) in self.sizes.iter().enumerate() {
                let key = format!("{name}-{number}");
                let message = format!("{key} {}", "x".repeat(*size));
                let outcome = ledger.post(client, &message, Some(&key)).await;
                if outcome == Outcome::NotStored && self.must_store {
                    return;
                }
            }
        });
        futures_util::future::join_all(clients).await;
    }
}

/// Opens connections that say nothing, as many as succeed.
async fn flood(cluster: &Cluster, connections: usize) -> Vec<TcpStream> {
    let mut flood = Vec::new();
    for _ in 0..connections {
        flood.extend(TcpStream::connect(cluster.link(Link::Logging).address()).await.ok());
    }
    flood
}
