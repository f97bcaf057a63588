//! What runs the blocking work of the service: threads in production, tasks in a simulation.

use std::{io, thread};

/// Where work runs that waits for the disk. The guarantees are the same either way: the committer alone
/// writes to the store, and no call is answered before what decides the answer is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// The committer on a thread of its own, reads on the blocking threads of the runtime: a slow disk holds
    /// up only the calls that wait for it. While the disk is fast, handlers commit inline on the threads of
    /// the runtime: the first commit that is slow holds up the other tasks of its thread.
    Threads,
    /// Everything on the current runtime, one step after the other. On a paused clock and a simulated
    /// disk the same calls then give the same run. A slow disk would hold up the whole runtime.
    Tasks,
}

impl Execution {
    /// Runs `work` beside the caller, and does not wait for it.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub(crate) fn detach(self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        match self {
            // A thread and not a blocking task, which the runtime would wait for: a stop does not.
            Self::Threads => thread::Builder::new().name(name.to_owned()).spawn(work).map(drop),
            Self::Tasks => {
                tokio::spawn(async { work() });
                Ok(())
            }
        }
    }

    /// Runs a read that may wait for the disk where it holds up nothing else. `None` if its thread panicked.
    /// If the future is dropped, a read that has begun goes on.
    pub(crate) async fn read<T: Send + 'static>(
        self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        match self {
            Self::Threads => tokio::task::spawn_blocking(read).await.ok(),
            Self::Tasks => Some(read()),
        }
    }
}
