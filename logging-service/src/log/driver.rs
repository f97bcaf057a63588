//! Runs the owner of the store, on a thread or as a task, and brings it its work.

use std::{
    io,
    panic::AssertUnwindSafe,
    sync::{Mutex, PoisonError},
    thread,
};

use futures_util::FutureExt as _;
use oncelog::limits::APPENDS_WAITING_MAX;
use tokio::{sync::mpsc, task, time::timeout};

use super::{
    desk::Desk,
    owner::{Event, Owner, Work},
};
use crate::execution::Execution;

/// The running owner, seen by those who hand it work.
pub(super) struct Driver {
    queue: Queue,
    running: Mutex<Option<Running>>,
}

enum Queue {
    Thread(Desk),
    Task(mpsc::Sender<Work>),
}

enum Running {
    Thread(thread::JoinHandle<()>),
    Task(task::JoinHandle<()>),
}

/// Why work was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// Too much is waiting.
    Full,
    /// The owner has ended.
    Ended,
}

impl Driver {
    /// Starts `owner`.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub(super) fn start(owner: Owner, execution: Execution) -> io::Result<Self> {
        let (queue, running) = match execution {
            Execution::Threads => {
                let (desk, thread) = Desk::open(owner)?;
                (Queue::Thread(desk), Running::Thread(thread))
            }
            Execution::Tasks => {
                let (sender, work) = mpsc::channel(APPENDS_WAITING_MAX);
                (Queue::Task(sender), Running::Task(tokio::spawn(run_as_task(owner, work))))
            }
        };
        Ok(Self { queue, running: Mutex::new(Some(running)) })
    }

    /// Hands over `work`, or drops it. If it is `brief`, it may be done when this returns.
    pub(super) fn hand_over(&self, work: Work, brief: bool) -> Result<(), NotTaken> {
        match &self.queue {
            Queue::Thread(desk) => desk.hand_over(work, brief),
            Queue::Task(sender) => sender.try_send(work).map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => NotTaken::Full,
                mpsc::error::TrySendError::Closed(_) => NotTaken::Ended,
            }),
        }
    }

    /// Hands over the word to stop, after what waits already. An owner that is gone needs none.
    async fn send_stop(&self) {
        match &self.queue {
            Queue::Thread(desk) => {
                let _ = task::spawn_blocking(desk.stopper()).await;
            }
            Queue::Task(sender) => {
                let _ = sender.send(Work::Stop).await;
            }
        }
    }

    /// Lets the owner finish what was handed over, and waits for its end. A panic of it is in the
    /// state of the log already.
    pub(super) async fn stop(&self) {
        self.send_stop().await;
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        match running {
            Some(Running::Thread(thread)) => {
                let _ = task::spawn_blocking(move || thread.join()).await;
            }
            Some(Running::Task(task)) => {
                let _ = task.await;
            }
            None => {}
        }
    }
}

async fn run_as_task(mut owner: Owner, mut work: mpsc::Receiver<Work>) {
    let serving = async {
        loop {
            let received = match owner.patience() {
                Some(patience) => timeout(patience, work.recv()).await,
                None => Ok(work.recv().await),
            };
            let event = match received {
                Ok(work) => Event::Work(work.unwrap_or(Work::Stop)),
                Err(_) => Event::Quiet,
            };
            if owner.handle(event, || work.try_recv().ok())?.is_break() {
                return Ok(());
            }
        }
    };
    let ended = AssertUnwindSafe(serving).catch_unwind().await;
    owner.end(ended);
}
