//! The committer on a thread of its own, behind a bounded queue.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::Builder,
};

use tokio::task::spawn_blocking;
use tokio_util::sync::DropGuard;

use super::{
    Command, Committer, Event, SubmitError,
    inline::{Cell, Inline, handle},
};

/// The commit queue of a committer thread.
pub(super) struct Queue {
    commands: SyncSender<Command>,
    shared: Arc<Shared>,
}

/// What the thread shares with handlers.
struct Shared {
    committer: Cell,
    /// Commands that are in the queue or being carried out by the thread, without stops.
    queued: AtomicUsize,
}

/// Starts the thread, which drops `running` at its end.
///
/// # Errors
/// The operating system gave no thread.
pub(super) fn start(
    committer: Committer,
    queue_len: usize,
    running: DropGuard,
) -> io::Result<Queue> {
    let (commands, receiver) = sync_channel(queue_len);
    let committer = Cell::new(committer);
    let shared = Arc::new(Shared { committer, queued: AtomicUsize::new(0) });
    let thread = Arc::clone(&shared);
    Builder::new().name("committer".to_owned()).spawn(move || {
        thread.run(receiver);
        // Only now no more commands are taken.
        drop(running);
    })?;
    Ok(Queue { commands, shared })
}

impl Queue {
    /// Carries out `command` inline if it `may_inline` and the committer is idle; else puts it into the
    /// queue.
    ///
    /// # Errors
    /// [`SubmitError`]; then the command is dropped.
    pub(super) fn submit(&self, command: Command, may_inline: bool) -> Result<(), SubmitError> {
        // Commands that wait for the thread go first.
        if !may_inline || self.shared.queued.load(Ordering::Acquire) > 0 {
            return self.enqueue(command);
        }
        match self.shared.committer.try_inline(command) {
            Inline::Done { wake: false } => Ok(()),
            Inline::Done { wake: true } => {
                // A full queue wakes the thread as well.
                let _ = self.enqueue(Command::Wake);
                Ok(())
            }
            Inline::Not(command) => self.enqueue(command),
        }
    }

    fn enqueue(&self, command: Command) -> Result<(), SubmitError> {
        self.shared.queued.fetch_add(1, Ordering::AcqRel);
        self.commands.try_send(command).map_err(|refused| {
            self.shared.queued.fetch_sub(1, Ordering::AcqRel);
            match refused {
                TrySendError::Full(_) => SubmitError::Full,
                TrySendError::Disconnected(_) => SubmitError::Closed,
            }
        })
    }

    /// Tells the thread to stop after all that waits already.
    pub(super) async fn stop(&self) {
        let commands = self.commands.clone();
        // It blocks while the queue is full. A committer that has ended needs no stop.
        let _ = spawn_blocking(move || commands.send(Command::Stop)).await;
    }
}

impl Shared {
    /// Carries out what is queued, until a stop or a failure.
    fn run(&self, queue: Receiver<Command>) {
        loop {
            let Some(next_wakeup) = self.committer.lock().as_ref().map(Committer::next_wakeup)
            else {
                return;
            };
            let event = match next_wakeup {
                Some(timeout) => match queue.recv_timeout(timeout) {
                    Ok(command) => Event::Command(command),
                    Err(RecvTimeoutError::Timeout) => Event::Idle,
                    Err(RecvTimeoutError::Disconnected) => Event::Command(Command::Stop),
                },
                None => Event::Command(queue.recv().unwrap_or(Command::Stop)),
            };
            let mut taken = usize::from(matches!(event, Event::Command(_)));
            let waiting = || queue.try_recv().ok().inspect(|_| taken += 1);
            // A stop is not counted, and nothing counts after it.
            if handle(&mut self.committer.lock(), event, waiting).is_break() {
                return;
            }
            self.queued.fetch_sub(taken, Ordering::AcqRel);
        }
    }
}
