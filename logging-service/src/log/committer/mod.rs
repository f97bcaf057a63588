//! The committer: the single writer of the store.
//!
//! Handlers [`submit`](Handle::submit) append calls to the bounded commit queue and wait for their
//! outcomes. The committer takes all calls that wait, up to one frame (`group`), decides and commits them
//! together (`appender`), and replies. It runs on a thread of its own (`thread`), where handlers may also
//! commit themselves while the disk is fast (`inline`), or as a task (`task`).
//!
//! The committer itself waits for nothing but the store: the thread or task that runs it tells it what
//! happened, and asks it how long to wait for more. A caller that goes away changes nothing: its call is
//! committed, and the reply is dropped.
//!
//! Lock order: the lock of the committer (`inline::Cell`) comes before all others. It is held during a
//! commit, so under it are taken the locks of the index shards, of the watch channels of state and last
//! sequence, and those of the store. Code that holds one of these never submits.

mod appender;
mod doubt;
mod group;
mod inline;
mod place;
mod retries;
mod space;
mod task;
mod thread;

use std::{io, ops::ControlFlow, sync::Arc, time::Duration};

use oncelog::message::Message;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use self::appender::{Appended, Appender};
use self::{
    group::{Append, Group, Reply, WaitingBytes},
    inline::InlinePolicy,
};
use super::state::State;
use crate::{execution::Execution, limits::Limits, store::CommitError};

/// Without appends for this long, the log is sealed: until then, damage to the last batch looks like an
/// unfinished write.
const SEAL_DELAY: Duration = Duration::from_millis(50);

/// On a slow disk the seal comes later: after so many times the time of the last commit.
const SEAL_COMMIT_TIMES: u32 = 4;

/// What the committer is told to do.
enum Command {
    Append(Append),
    /// Nothing: ask again how long to wait.
    Wake,
    /// Finish what came before, and end.
    Stop,
}

/// What happened.
enum Event {
    Command(Command),
    /// Nothing, until [`Committer::next_wakeup`].
    Idle,
}

/// Why a call was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubmitError {
    /// The commit queue has no room.
    Full,
    /// The committer has ended.
    Closed,
}

/// The running committer, seen by handlers.
pub(super) struct Handle {
    queue: Queue,
    waiting_bytes: Arc<WaitingBytes>,
    inline_bytes_max: usize,
    /// Cancelled once the committer has ended and its store is closed.
    ended: CancellationToken,
}

enum Queue {
    Thread(thread::Queue),
    Task(mpsc::Sender<Command>),
}

impl Handle {
    /// Starts the committer that owns `appender` and keeps `state`.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub(super) fn start(
        appender: Appender,
        state: watch::Sender<State>,
        execution: Execution,
        limits: Limits,
    ) -> io::Result<Self> {
        let waiting_bytes = Arc::new(WaitingBytes::new(limits.append_bytes_waiting));
        let committer = Committer::new(appender, state, Arc::clone(&waiting_bytes), limits);
        let ended = CancellationToken::new();
        let running = ended.clone().drop_guard();
        let queue = match execution {
            Execution::Threads => {
                Queue::Thread(thread::start(committer, limits.appends_waiting, running)?)
            }
            Execution::Tasks => {
                let (sender, commands) = mpsc::channel(limits.appends_waiting);
                tokio::spawn(async {
                    task::run(committer, commands).await;
                    drop(running);
                });
                Queue::Task(sender)
            }
        };
        let inline_bytes_max = limits.inline_commit.bytes_max;
        Ok(Self { queue, waiting_bytes, inline_bytes_max, ended })
    }

    /// Puts one append call into the commit queue, and returns where its reply will come. The reply is
    /// dropped without one if the committer fails. Waits for nothing but, if the call is small and the disk
    /// fast, for its inline commit.
    ///
    /// # Errors
    /// [`SubmitError`]; then the messages are dropped, and nothing of them is stored.
    pub(super) fn submit(
        &self,
        messages: Vec<Message>,
    ) -> Result<oneshot::Receiver<Reply>, SubmitError> {
        let bytes = messages.iter().map(|message| message.body.len()).sum();
        if !self.waiting_bytes.try_add(bytes) {
            return Err(SubmitError::Full);
        }
        let (reply, replied) = oneshot::channel();
        let append = Command::Append(Append { messages, bytes, reply });
        let submitted = match &self.queue {
            Queue::Thread(queue) => queue.submit(append, bytes <= self.inline_bytes_max),
            Queue::Task(sender) => sender.try_send(append).map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => SubmitError::Full,
                mpsc::error::TrySendError::Closed(_) => SubmitError::Closed,
            }),
        };
        submitted.inspect_err(|_| self.waiting_bytes.remove(bytes)).map(|()| replied)
    }

    /// Lets the committer finish all calls that were submitted before, and waits for its end. If this
    /// future is dropped, the committer may have been told to stop or not. A panic of the committer is in
    /// the state of the log already.
    pub(super) async fn close(&self) {
        match &self.queue {
            Queue::Thread(queue) => queue.stop().await,
            Queue::Task(sender) => {
                // A committer that has ended needs no stop.
                let _ = sender.send(Command::Stop).await;
            }
        }
        self.ended.cancelled().await;
    }
}

/// The state of the single writer.
struct Committer {
    appender: Appender,
    waiting_bytes: Arc<WaitingBytes>,
    state: watch::Sender<State>,
    limits: Limits,
    inline: InlinePolicy,
    /// Whether something was appended since the last seal.
    needs_seal: bool,
    /// When a full disk is probed again; `None` while there is space.
    space_probe_at: Option<Instant>,
    /// When the store is asked again whether a start would find it; `None` once it would not.
    place_check_at: Option<Instant>,
    /// When something was appended last.
    appended_at: Instant,
    /// How long that took.
    commit_time: Duration,
}

impl Committer {
    fn new(
        appender: Appender,
        state: watch::Sender<State>,
        waiting_bytes: Arc<WaitingBytes>,
        limits: Limits,
    ) -> Self {
        Self {
            appender,
            waiting_bytes,
            state,
            limits,
            inline: InlinePolicy::new(limits.inline_commit),
            needs_seal: false,
            space_probe_at: None,
            place_check_at: Some(Instant::now() + place::CHECK_INTERVAL),
            appended_at: Instant::now(),
            commit_time: Duration::ZERO,
        }
    }

    /// How long to wait for a command before there is something to do without one; `None`: for ever.
    fn next_wakeup(&self) -> Option<Duration> {
        let asks_again = self.space_probe_at.is_some() || self.appender.is_in_doubt();
        let place_check =
            self.place_check_at.map(|at| at.saturating_duration_since(Instant::now()));
        let others = if self.needs_seal {
            Some(self.seal_due())
        } else {
            asks_again.then_some(space::PROBE_INTERVAL)
        };
        place_check.into_iter().chain(others).min()
    }

    /// Whether a handler may make the next commit.
    fn may_inline(&self) -> bool {
        self.space_probe_at.is_none()
            && !self.appender.is_in_doubt()
            && self.inline.allows(self.appended_at.elapsed())
    }

    /// How long no more appends may come before the seal.
    fn seal_due(&self) -> Duration {
        seal_delay(self.commit_time).saturating_sub(self.appended_at.elapsed())
    }

    /// Does what `event` asks for, together with the commands that `waiting` returns. Breaks after a stop.
    ///
    /// # Errors
    /// The disk failed; the callers of the calls under way are told by their dropped replies.
    fn handle(
        &mut self,
        event: Event,
        waiting: impl FnMut() -> Option<Command>,
    ) -> io::Result<ControlFlow<()>> {
        let stopping = match event {
            Event::Command(Command::Append(first)) => {
                let group = Group::coalesce(first, waiting, &self.limits);
                self.waiting_bytes.remove(group.bytes);
                let stop = group.stop;
                self.commit(group)?;
                stop
            }
            Event::Command(Command::Wake) => false,
            Event::Command(Command::Stop) => true,
            Event::Idle => {
                self.check_place_if_due();
                self.probe_space_if_due()?;
                self.appender.resolve_doubt()?;
                // An inline commit meanwhile puts it off.
                if self.needs_seal && self.seal_due().is_zero() {
                    let began = Instant::now();
                    self.seal()?;
                    self.needs_seal = false;
                    self.inline.note_commit(began.elapsed());
                }
                false
            }
        };
        if stopping {
            // Nothing is called safe that was removed since the last time.
            self.check_place();
            self.seal()?;
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Stores what is new in one commit, then replies to every call.
    fn commit(&mut self, group: Group) -> io::Result<()> {
        let began = Instant::now();
        self.check_place_if_due();
        self.probe_space_if_due()?;
        let (messages, callers) = group.into_parts();
        // On an error the callers are dropped here, which tells each of them.
        let appended = self.appender.append(messages)?;
        if let Some(rejection) = appended.no_space {
            self.enter_read_only(&rejection);
        }
        if let Some(orphaned) = appended.orphaned {
            self.enter_orphaned(&orphaned);
        }
        callers.reply(appended.outcomes);
        self.appender.show(&appended.stored);

        self.appended_at = Instant::now();
        self.commit_time = self.appended_at - began;
        self.needs_seal = true;
        // A group that stored nothing says nothing about the disk.
        if !appended.stored.is_empty() {
            self.inline.note_commit(self.commit_time);
        }
        Ok(())
    }

    /// Seals the log. Without space that is left out: the next append meets the same trouble and deals
    /// with it.
    fn seal(&mut self) -> io::Result<()> {
        match self.appender.seal() {
            Ok(()) | Err(CommitError::NoSpace(_)) => Ok(()),
            Err(CommitError::Orphaned(orphaned) | CommitError::WrittenToOrphan(orphaned)) => {
                self.enter_orphaned(&orphaned);
                Ok(())
            }
            Err(CommitError::Failed(error)) => Err(error),
        }
    }

    /// Leaves a failure in the state. That includes a panic of the committer, such as a failed assertion:
    /// the log must not go on as if it worked.
    fn end(&self, ended: std::thread::Result<io::Result<()>>) {
        let reason = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("the disk failed: {error}"),
            Err(_) => "the committer panicked".to_owned(),
        };
        tracing::error!("{reason}");
        self.state.send_replace(State::Failed(reason));
    }
}

/// How long no appends may come before a seal, where a commit takes `commit_time`. On a slow disk the seal
/// would hold up the next call by as much as a commit.
fn seal_delay(commit_time: Duration) -> Duration {
    SEAL_DELAY.max(commit_time.saturating_mul(SEAL_COMMIT_TIMES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_slow_disk_the_seal_comes_later() {
        assert_eq!(seal_delay(Duration::from_micros(200)), SEAL_DELAY);
        assert_eq!(seal_delay(Duration::from_millis(250)), Duration::from_secs(1));
    }
}
