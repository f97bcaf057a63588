//! `faultlab overload`: five times as many messages as can be stored, at a constant rate.
//!
//! - [`Args`], [`run`]: the big run, with a disk that is slow for each sync
//! - [`Course`], [`Results`]: what is measured, and how
//! - `goals`: the goals

mod course;
mod goals;

use std::{ffi::OsString, process::ExitCode, time::Duration};

pub use self::course::{Course, Results};
use super::{Goals, NotRun, Scratch, conclude, show};
use crate::{
    cluster::{Cluster, Programs},
    programs::{ToolError, tool},
};

/// How much, and on what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds of overload
    #[arg(long, default_value_t = 60)]
    duration: u64,

    /// How many times the capacity is sent
    #[arg(long, default_value_t = 5.0)]
    factor: f64,

    /// Milliseconds that each sync of the disk is held up (by strace); 0 leaves the disk as it is, and
    /// the processors are the limit
    #[arg(long, default_value_t = 100)]
    sync_delay: u64,

    /// Connections that send in overload
    #[arg(long, default_value_t = 6000)]
    connections: usize,

    /// Bytes of each message
    #[arg(long, default_value_t = 100)]
    text_bytes: usize,
}

/// Measures, and prints the figures beside the goals.
pub async fn run(args: Args) -> ExitCode {
    conclude(measure(&args).await)
}

async fn measure(args: &Args) -> Result<Goals, NotRun> {
    let dir = Scratch::new("overload")?;
    let mut programs = Programs::built()?;
    if args.sync_delay > 0 {
        programs.logging = with_slow_sync(programs.logging, args.sync_delay)?;
    }
    let cluster = Cluster::start(programs, dir.path()).await?;
    let course = Course {
        factor: args.factor,
        overload: Duration::from_secs(args.duration),
        connections: args.connections,
        text_bytes: args.text_bytes,
        ..Course::default()
    };
    let found = course.run(&cluster).await?;
    show(&found);
    Ok(found.goals())
}

/// `program`, with each sync of a file held up: what is written and in what order stays as it is.
fn with_slow_sync(program: Vec<OsString>, millis: u64) -> Result<Vec<OsString>, ToolError> {
    let strace = tool("strace")?;
    let inject = format!("inject=fdatasync,fsync:delay_enter={}", millis * 1000);
    // The service stays the child, and strace attaches to it: signals reach the service.
    let flags = ["-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e"];
    let flags = flags.into_iter().map(Into::into);
    let traced = ["trace=fdatasync,fsync".into(), "-e".into(), inject.into()];
    Ok([strace.into()].into_iter().chain(flags).chain(traced).chain(program).collect())
}
