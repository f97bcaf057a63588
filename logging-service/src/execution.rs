//! What runs the blocking work of the service: threads in production, tasks in a simulation.

use std::{io, thread};

/// Where work runs that waits for the disk. The guarantees are the same either way: one owner alone
/// writes to the store, and nobody is answered before what decides the answer is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// The owner of the store on a thread of its own, reads on the blocking threads of the runtime: a
    /// slow disk holds up nobody who does not wait for it. While the disk is quick, handlers make commits
    /// on the threads of the runtime: the first commit that is slow holds up what else runs on its thread.
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

    /// Runs a read that may wait for the disk where it holds up nobody else. `None` if its
    /// thread panicked.
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
