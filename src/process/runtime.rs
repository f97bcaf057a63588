//! The threads that serve connections.

use std::{future::Future, num::NonZeroUsize, process::ExitCode, thread};

use clap::Parser;
use tokio::runtime::Builder;

use super::{
    exit::Exit,
    settings::{self, Checks, Setting, WrongSettings},
    telemetry,
};
use crate::net::raise_open_files;

/// The variable that names the number of threads, as in every program on Tokio.
const THREADS_VARIABLE: &str = "TOKIO_WORKER_THREADS";

/// More are a mistake in writing.
const THREADS_MAX: usize = 1024;

/// The `main` of a service: logs, reads the command line and the environment, may open as many files as
/// the system allows, and [`run`]s `service` with its arguments.
pub fn main<Args: Parser>(service: impl AsyncFnOnce(Args) -> Result<(), Exit>) -> ExitCode {
    let _last_lines = telemetry::init();
    run(async {
        let args = settings::parse_args()?;
        raise_open_files();
        service(args).await
    })
}

/// Runs a service to its end, and the process with it, on as many threads as `TOKIO_WORKER_THREADS`
/// says, and without it on half of the processors.
///
/// A message passes through several tasks. On one thread they follow each other; on more, each may
/// wake another thread, which costs more than the task itself where processors are few or virtual. The
/// other half is for the disk, the kernel, and the services next door.
pub fn run(service: impl Future<Output = Result<(), Exit>>) -> ExitCode {
    let builder = match threads(processors() / 2) {
        1 => Builder::new_current_thread(),
        threads => several(threads),
    };
    finish(builder, service)
}

/// As [`run`], for a command, which may do work of its own on these threads: without the variable on all
/// processors.
pub fn run_command(command: impl Future<Output = Result<(), Exit>>) -> ExitCode {
    finish(several(threads(processors())), command)
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn several(threads: usize) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads);
    builder
}

fn finish(mut builder: Builder, work: impl Future<Output = Result<(), Exit>>) -> ExitCode {
    let runtime = builder.enable_all().build();
    let runtime = runtime
        .map_err(|error| Exit::Failure.because(format_args!("cannot start threads: {error}")));
    match runtime.and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => Exit::Success.into(),
        Err(exit) => exit.into(),
    }
}

/// The number of threads that is wanted, or `default`. One that is wrong is told with all other settings.
fn threads(default: usize) -> usize {
    wanted_threads().ok().flatten().unwrap_or(default).max(1)
}

/// How many threads `TOKIO_WORKER_THREADS` asks for.
///
/// # Errors
/// It is no number of threads.
pub(super) fn wanted_threads() -> Result<Option<usize>, WrongSettings> {
    let Some(wanted) = settings::variable(THREADS_VARIABLE) else { return Ok(None) };
    let mut checks = Checks::default();
    let threads = checks.number(&Setting::new(THREADS_VARIABLE, wanted), 1..=THREADS_MAX);
    checks.finish(|| Some(Some(threads?)))
}
