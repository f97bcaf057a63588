//! `faultlab overload`: five times as many messages as can be stored, at a constant rate.
//!
//! - [`Args`], `run`: the big run, with a disk that is slow for each sync
//! - [`Course`], [`Results`]: what is measured, and how
//! - `goals`: the goals

mod course;
mod goals;

use std::time::Duration;

pub use self::course::{Course, Results};
use super::{Goals, NotRun, Scratch, show};
use crate::{
    cluster::{Cluster, Programs},
    programs::traced,
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

/// Measures, and shows the results.
pub(super) async fn run(args: &Args) -> Result<Goals, NotRun> {
    let dir = Scratch::new("overload")?;
    let mut programs = Programs::built()?;
    if args.sync_delay > 0 {
        // Each sync of a file is held up: what is written and in what order stays as it is.
        let inject = format!("-einject=fdatasync,fsync:delay_enter={}", args.sync_delay * 1000);
        let flags = ["--seccomp-bpf", "-o", "/dev/null", "-etrace=fdatasync,fsync", &inject];
        programs.logging = traced(flags, &programs.logging)?;
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
