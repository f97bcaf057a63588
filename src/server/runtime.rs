//! The threads that serve connections.

use std::{env, future::Future, io, num::NonZeroUsize, process::ExitCode, thread};

use tokio::runtime::{Builder, Runtime};

use crate::exit::Exit;

/// The variable that names the number of threads, as in every program on Tokio.
const THREADS_VARIABLE: &str = "TOKIO_WORKER_THREADS";

/// Runs a service to its end, and the process with it, on as many threads as `TOKIO_WORKER_THREADS` says, and without it on half
/// of the processors.
///
/// A message passes through several tasks. On one thread they follow each other; on more, each may
/// wake another thread, which costs more than the task itself where processors are few or virtual. The
/// other half is for the disk, the kernel, and the services next door.
pub fn run(service: impl Future<Output = Result<(), Exit>>) -> ExitCode {
    let ended = runtime().map(|runtime| runtime.block_on(service)).unwrap_or_else(|error| {
        Err(Exit::Failure.because(format_args!("cannot start threads: {error}")))
    });
    match ended {
        Ok(()) => Exit::Success.into(),
        Err(exit) => exit.into(),
    }
}

fn runtime() -> io::Result<Runtime> {
    if env::var_os(THREADS_VARIABLE).is_some() {
        return Builder::new_multi_thread().enable_all().build();
    }
    match threads(thread::available_parallelism().map_or(1, NonZeroUsize::get)) {
        1 => Builder::new_current_thread().enable_all().build(),
        threads => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    }
}

fn threads(processors: usize) -> usize {
    (processors / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_takes_half_of_the_processors_and_one_at_least() {
        for (processors, expected) in [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8)] {
            assert_eq!(threads(processors), expected);
        }
    }
}
