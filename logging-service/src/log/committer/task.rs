//! The committer as a task on the current runtime.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::{sync::mpsc, time::timeout};

use super::{Command, Committer, Event};

/// Carries out what is queued, until a stop or a failure.
pub(super) async fn run(mut committer: Committer, mut queue: mpsc::Receiver<Command>) {
    let serving = async {
        loop {
            let received = match committer.next_wakeup() {
                Some(wakeup) => timeout(wakeup, queue.recv()).await,
                None => Ok(queue.recv().await),
            };
            let event = match received {
                Ok(command) => Event::Command(command.unwrap_or(Command::Stop)),
                Err(_) => Event::Idle,
            };
            if committer.handle(event, || queue.try_recv().ok())?.is_break() {
                return Ok(());
            }
        }
    };
    let ended = AssertUnwindSafe(serving).catch_unwind().await;
    committer.end(ended);
}
