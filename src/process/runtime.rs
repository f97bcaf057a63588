//! The threads that serve connections.

use std::{env, ffi::OsStr, future::Future, num::NonZeroUsize, process::ExitCode, thread};

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use super::{exit::Exit, settings, telemetry};
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
    match runtime().and_then(|runtime| runtime.block_on(service)) {
        Ok(()) => Exit::Success.into(),
        Err(exit) => exit.into(),
    }
}

fn runtime() -> Result<Runtime, Exit> {
    let wanted = env::var_os(THREADS_VARIABLE);
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads(wanted.as_deref(), processors).ok_or_else(|| {
        Exit::Usage
            .because(format_args!("{THREADS_VARIABLE}: write a number from 1 to {THREADS_MAX}"))
    })?;
    let runtime = match threads {
        1 => Builder::new_current_thread().enable_all().build(),
        threads => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    runtime.map_err(|error| Exit::Failure.because(format_args!("cannot start threads: {error}")))
}

/// None if what is wanted is no number of threads.
fn threads(wanted: Option<&OsStr>, processors: usize) -> Option<usize> {
    match wanted {
        Some(wanted) => {
            wanted.to_str()?.parse().ok().filter(|threads| (1..=THREADS_MAX).contains(threads))
        }
        None => Some((processors / 2).max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_takes_half_of_the_processors_and_one_at_least() {
        for (processors, expected) in [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8)] {
            assert_eq!(threads(None, processors), Some(expected));
        }
    }

    #[test]
    fn a_wish_is_a_number_of_threads_or_refused() {
        let threads = |wanted: &str| threads(Some(wanted.as_ref()), 2);
        assert_eq!(["1", "8"].map(threads), [Some(1), Some(8)]);
        assert_eq!(["", "0", "-1", "two", "1000000"].map(threads), [None; 5]);
    }
}
