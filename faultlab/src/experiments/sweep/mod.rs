//! `faultlab sweep`: the logging service harmed at its first, second, third … system call of each
//! kind, until a run comes to its end without harm. After each, it is started again without.
//!
//! - [`Line`], [`ALL`]: the calls, and what happens at them
//! - [`measure`]: the sweep; [`Swept::goals`]: what was to be reached

mod point;
mod trial;

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

pub use self::point::{ALL, Harm, Line};
use self::trial::{End, try_point, workload};
use super::{CannotRun, Goals, Scratch, conclude, say};
use crate::{
    cluster::{Cluster, Programs},
    load::Ledger,
    processes::ProcessError,
    programs::tool,
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

/// What a sweep came to.
#[derive(Debug, Clone, Default)]
pub struct Swept {
    /// Points at which there was harm.
    pub tried: usize,
    /// Those of them after which all was as promised.
    pub recovered: usize,
    /// Receipts for what had failed, or for what came after it.
    pub acks_after_error: usize,
    /// Kinds of harm that no call was reached for.
    pub lines_without_a_point: usize,
    /// Messages with a receipt, over all points.
    pub acknowledged: usize,
    /// What went wrong: the point, and what.
    pub wrong: Vec<String>,
}

impl Swept {
    /// What was to be reached, and what was.
    #[must_use]
    pub fn goals(&self) -> Goals {
        let mut goals = Goals::default();
        let Self { tried, recovered, acks_after_error, lines_without_a_point, .. } = self;
        goals.note("points tried", "more than 0", tried, *tried > 0);
        goals.note("points recovered", "all", recovered, recovered == tried);
        goals.note("receipts after a failed call", 0, acks_after_error, *acks_after_error == 0);
        let none = *lines_without_a_point;
        goals.note("kinds of harm that were never reached", 0, none, none == 0);
        goals
    }
}

/// Sweeps everything that `args` choose, and prints the goals.
pub async fn run(args: &Args) -> ExitCode {
    let chosen = |line: &Line| args.syscall.as_deref().is_none_or(|call| call == line.syscall);
    let lines: Vec<Line> = ALL.into_iter().filter(chosen).collect();
    let swept = measure(&lines, args.every, 1, &mut say).await;
    conclude(swept.map(|swept| swept.goals()))
}

/// Harms the `first` call of each line, and each `every`-th after it.
///
/// # Errors
/// [`CannotRun`]: strace is missing, or the services do not come up without harm.
pub async fn measure(
    lines: &[Line],
    every: u32,
    first: u32,
    progress: &mut dyn FnMut(&str),
) -> Result<Swept, CannotRun> {
    let strace = tool("strace")?;
    let mut scratch = Scratch::new("sweep")?;
    let mut programs = Programs::built()?;
    programs.logging.extend(["--segment-size", "64KiB"].map(OsString::from));
    programs.facade.extend(["--attempt-timeout", "500ms"].map(OsString::from));
    let program = programs.logging.clone();
    let before = Ledger::start();
    let mut trio = prepare(programs, scratch.path(), &before).await?;
    let mut swept = Swept::default();
    for line in lines {
        let mut points = 0;
        for when in (first..).step_by(every as usize) {
            let dir = scratch.path().join(format!("{}-{}-{when}", line.syscall, line.harm));
            copy_journal(scratch.path(), &dir)?;
            let trace = dir.join("trace");
            let command = line.command(&strace, &program, &dir, &trace, when);
            let start = match trio.replace_logging(command, &dir).await {
                Ok(()) => Ok(()),
                Err(ProcessError::NotUp { ended, .. }) => Err(End { code: ended }),
                Err(error) => return Err(error.into()),
            };
            let ledger = before.fork();
            let tried = try_point(&mut trio, start, *line, &program, &dir, &ledger).await?;
            swept.acknowledged += tried.acknowledged;
            swept.acks_after_error += tried.acks_after_error;
            let name = format!("{} {when} {}", line.syscall, line.harm);
            let is_right = tried.wrong.is_empty() && tried.acks_after_error == 0;
            if is_right {
                fs::remove_dir_all(&dir)?;
            } else {
                progress(&format!("{name}: {:?}; see {}", tried.wrong, scratch.keep().display()));
                swept.wrong.push(format!("{name}: {:?}", tried.wrong));
            }
            if !tried.reached {
                break;
            }
            points += 1;
            swept.tried += 1;
            swept.recovered += usize::from(is_right);
        }
        progress(&format!("{} {}: {points} points", line.syscall, line.harm));
        swept.lines_without_a_point += usize::from(points == 0);
    }
    Ok(swept)
}

/// A trio that runs, and a journal in `dir` as a crash leaves it: some segments, and an unfinished
/// frame at the end.
async fn prepare(programs: Programs, dir: &Path, ledger: &Ledger) -> Result<Cluster, CannotRun> {
    let mut trio = Cluster::start(programs, dir).await?;
    workload(ledger, &trio.client(), "before").await;
    if ledger.acknowledged() != ledger.history().attempts.len() {
        return Err(io::Error::other("posts without any harm got no receipts").into());
    }
    trio.logging.stop().await?;
    let last = segments(&dir.join("logging"))?.pop();
    let last = last.ok_or_else(|| io::Error::other("the service kept nothing"))?;
    let mut bytes = fs::read(&last)?;
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let unfinished = bytes.len().min(end + 300);
    bytes[end..unfinished].fill(0xab);
    fs::write(&last, bytes)?;
    Ok(trio)
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
