//! `faultlab sweep`: the logging service harmed at its first, second, third … system call of each
//! kind, until a run comes to its end without harm. After each, it is started again without.
//!
//! - [`Injection`], [`all`]: the calls, and what happens at them
//! - [`measure`]: the sweep; [`Results::goals`]: the goals

mod point;
mod trial;

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

pub use self::point::{Effect, Injection, all};
use self::trial::{End, Trial, workload};
use super::{Goals, NotRun, Scratch, say};
use crate::{
    cluster::{Cluster, Programs},
    load::Ledger,
    processes::ProcessError,
};

/// What to sweep.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Harm only each so many-th call of a kind
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,

    /// Harm only this kind of call, such as fdatasync
    #[arg(long, value_name = "CALL")]
    syscall: Option<String>,
}

/// The results of a sweep.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// Points at which there was harm.
    pub tried: usize,
    /// Points after which no promise was broken.
    pub recovered: usize,
    /// Receipts for what had failed, or for what came after it.
    pub acks_after_error: usize,
    /// Kinds of harm that no call was reached for.
    pub injections_not_reached: usize,
    /// Messages with a receipt, over all points.
    pub acknowledged: usize,
    /// Descriptions of what went wrong, by point.
    pub wrong: Vec<String>,
}

impl Results {
    /// The goals, and whether they were reached.
    #[must_use]
    pub fn goals(&self) -> Goals {
        let mut goals = Goals::default();
        let Self { tried, recovered, acks_after_error, injections_not_reached, .. } = self;
        goals.note("points tried", "more than 0", tried, *tried > 0);
        goals.note("points recovered", "all", recovered, recovered == tried);
        goals.note("receipts after a failed call", 0, acks_after_error, *acks_after_error == 0);
        let none = *injections_not_reached;
        goals.note("kinds of harm that were never reached", 0, none, none == 0);
        goals
    }
}

/// Sweeps everything that `args` choose.
pub(super) async fn run(args: &Args) -> Result<Goals, NotRun> {
    let chosen = |injection: &Injection| {
        args.syscall.as_deref().is_none_or(|call| call == injection.syscall)
    };
    let injections: Vec<Injection> = all().filter(chosen).collect();
    Ok(measure(&injections, args.every, 1, &mut say).await?.goals())
}

/// Harms the `first` call of each injection, and each `every`-th after it.
///
/// # Errors
/// [`NotRun`]: strace is missing, or the services do not come up without harm.
pub async fn measure(
    injections: &[Injection],
    every: u32,
    first: u32,
    progress: &mut dyn FnMut(&str),
) -> Result<Results, NotRun> {
    let mut scratch = Scratch::new("sweep")?;
    let mut programs = Programs::built()?;
    programs.logging.extend(["--segment-size", "64KiB"].map(OsString::from));
    programs.facade.extend(["--attempt-timeout", "500ms"].map(OsString::from));
    let program = programs.logging.clone();
    let before = Ledger::start();
    let mut cluster = prepare(programs, scratch.path(), &before).await?;
    let mut results = Results::default();
    for injection in injections {
        let mut points = 0;
        for when in (first..).step_by(every as usize) {
            let dir =
                scratch.path().join(format!("{}-{}-{when}", injection.syscall, injection.effect));
            copy_journal(scratch.path(), &dir)?;
            let command = injection.command(&program, &dir, when)?;
            let start = match cluster.replace_logging(command, &dir).await {
                Ok(()) => Ok(()),
                Err(ProcessError::NotUp { ended, .. }) => Err(End { code: ended }),
                Err(error) => return Err(error.into()),
            };
            let ledger = before.fork();
            let trial =
                Trial { injection: *injection, program: &program, dir: &dir, ledger: &ledger };
            let tried = trial.run(&mut cluster, start).await?;
            results.acknowledged += tried.acknowledged;
            results.acks_after_error += tried.acks_after_error;
            let name = format!("{} {when} {}", injection.syscall, injection.effect);
            let is_right = tried.wrong.is_empty() && tried.acks_after_error == 0;
            if is_right {
                fs::remove_dir_all(&dir)?;
            } else {
                progress(&format!("{name}: {:?}; see {}", tried.wrong, scratch.keep().display()));
                results.wrong.push(format!("{name}: {:?}", tried.wrong));
            }
            if !tried.reached {
                break;
            }
            points += 1;
            results.tried += 1;
            results.recovered += usize::from(is_right);
        }
        progress(&format!("{} {}: {points} points", injection.syscall, injection.effect));
        results.injections_not_reached += usize::from(points == 0);
    }
    Ok(results)
}

/// A running cluster, and a journal in `dir` as a crash leaves it: some segments, and an unfinished
/// frame at the end.
async fn prepare(programs: Programs, dir: &Path, ledger: &Ledger) -> Result<Cluster, NotRun> {
    let mut cluster = Cluster::start(programs, dir).await?;
    workload(ledger, &cluster.client(), "before").await;
    if ledger.acknowledged() != ledger.history().attempts.len() {
        return Err(io::Error::other("posts without any harm got no receipts").into());
    }
    cluster.logging.stop().await?;
    let last = segments(&dir.join("logging"))?.pop();
    let last = last.ok_or_else(|| io::Error::other("the service kept nothing"))?;
    let mut bytes = fs::read(&last)?;
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let unfinished = bytes.len().min(end + 300);
    bytes[end..unfinished].fill(0xab);
    fs::write(&last, bytes)?;
    Ok(cluster)
}

fn segments(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "segment") {
            segments.push(path);
        }
    }
    segments.sort();
    Ok(segments)
}

fn copy_journal(from: &Path, to: &Path) -> io::Result<()> {
    let to = to.join("logging");
    fs::create_dir_all(&to)?;
    for segment in segments(&from.join("logging"))? {
        if let Some(name) = segment.file_name() {
            fs::copy(&segment, to.join(name))?;
        }
    }
    Ok(())
}
