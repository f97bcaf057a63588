//! The one owner of the store.
//!
//! Handlers hand it work and wait. A handler that goes away changes nothing: what was handed over
//! is stored, and the answer is dropped. It does not wait by itself: the `driver` tells it what
//! happened.

use std::{
    io,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use oncelog::{
    limits::{
        FRAME_BYTES_MAX, FRAME_MESSAGES_MAX, IDLE_MARK_COMMIT_TIMES, IDLE_MARK_DELAY,
        QUICK_COMMIT_GAP_MAX, QUICK_COMMIT_GAP_MIN, QUICK_COMMIT_MAX, QUICK_COMMITS_MIN,
        ROOM_CHECK_INTERVAL,
    },
    message::{Message, Outcome, Rejection},
};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{AppendError, appender::Appender, state::State};
use crate::{console::Console, store::CommitError};

/// What a handler asks for.
pub(super) enum Work {
    Append(Append),
    /// Nothing: look again how long to wait.
    Wake,
    /// Finish what came before, and end.
    Stop,
}

/// One append call.
pub(super) struct Append {
    pub(super) messages: Vec<Message>,
    /// Body bytes, as they were added to the count of waiting bytes.
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Result<Vec<Outcome>, AppendError>>,
}

/// What happened.
pub(super) enum Event {
    Work(Work),
    /// Nothing, for as long as [`Owner::patience`] said.
    Quiet,
}

/// The owner's belongings.
pub(super) struct Owner {
    pub(super) appender: Appender,
    pub(super) bytes_waiting: Arc<AtomicUsize>,
    pub(super) state: watch::Sender<State>,
    pub(super) last_sequence: watch::Sender<u64>,
    pub(super) console: Console,
    /// Whether nothing was appended since the last idle mark.
    pub(super) marked: bool,
    /// When a full disk is looked at again; `None` while there is room.
    pub(super) room_check_at: Option<Instant>,
    /// When something was appended last.
    pub(super) appended_at: Instant,
    /// How long that took.
    pub(super) commit_time: Duration,
    /// How many commits in a row were quick.
    pub(super) quick_commits: u32,
}

impl Owner {
    /// How long to wait for work before there is something to do without any; `None`: for ever.
    pub(super) fn patience(&self) -> Option<Duration> {
        match (self.marked, self.room_check_at) {
            (false, _) => Some(self.idle_mark_due()),
            (true, Some(_)) => Some(ROOM_CHECK_INTERVAL),
            (true, None) => None,
        }
    }

    /// Whether a handler may make the next commit: it takes so little time that anybody can wait for it,
    /// and nobody else seems to have one to make.
    pub(super) fn is_quick(&self) -> bool {
        self.quick_commits >= QUICK_COMMITS_MIN
            && self.room_check_at.is_none()
            // Who comes sooner was waiting already. Handlers that wait for each other would make a commit
            // each; on the journal thread they share one.
            && (QUICK_COMMIT_GAP_MIN..QUICK_COMMIT_GAP_MAX).contains(&self.appended_at.elapsed())
    }

    /// How long nothing more may come before the idle mark.
    fn idle_mark_due(&self) -> Duration {
        idle_mark_delay(self.commit_time).saturating_sub(self.appended_at.elapsed())
    }

    /// Does what `event` asks for, together with what `waiting` returns. Breaks after a stop.
    ///
    /// # Errors
    /// The disk failed; calls under way learn of it when their channel closes.
    pub(super) fn handle(
        &mut self,
        event: Event,
        waiting: impl FnMut() -> Option<Work>,
    ) -> io::Result<ControlFlow<()>> {
        let stopping = match event {
            Event::Work(Work::Append(first)) => {
                let (appends, stop) = self.gather(first, waiting);
                let began = Instant::now();
                let committed = self.append_all(appends)?;
                self.note_append(began, committed);
                stop
            }
            Event::Work(Work::Wake) => false,
            Event::Work(Work::Stop) => true,
            Event::Quiet => {
                self.check_room_if_due()?;
                // Work that was done elsewhere meanwhile puts it off.
                if !self.marked && self.idle_mark_due().is_zero() {
                    let began = Instant::now();
                    self.marked = self.mark_idle()?;
                    self.note_commit(began.elapsed());
                }
                false
            }
        };
        if stopping {
            self.mark_idle()?;
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Leaves a failure in the state. Also when the owner `ended` in a panic, nobody may go on
    /// believing that the log works.
    pub(super) fn end(&self, ended: thread::Result<io::Result<()>>) {
        let reason = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("the disk failed: {error}"),
            Err(_) => "the owner of the log panicked".to_owned(),
        };
        tracing::error!("{reason}");
        self.state.send_replace(State::Failed(reason));
    }

    /// Everything that waits already and fits one frame, and whether a stop was among it.
    fn gather(
        &self,
        first: Append,
        mut waiting: impl FnMut() -> Option<Work>,
    ) -> (Vec<Append>, bool) {
        let (mut messages, mut bytes) = (first.messages.len(), first.bytes);
        let mut appends = vec![first];
        let mut stop = false;
        while !stop && messages < FRAME_MESSAGES_MAX && bytes < FRAME_BYTES_MAX {
            match waiting() {
                Some(Work::Append(append)) => {
                    messages += append.messages.len();
                    bytes += append.bytes;
                    appends.push(append);
                }
                Some(Work::Wake) => {}
                Some(Work::Stop) => stop = true,
                None => break,
            }
        }
        self.bytes_waiting.fetch_sub(bytes, Ordering::Relaxed);
        (appends, stop)
    }

    fn note_append(&mut self, began: Instant, committed: bool) {
        self.appended_at = Instant::now();
        self.commit_time = self.appended_at - began;
        self.marked = false;
        // What came near no disk says nothing about it.
        if committed {
            self.note_commit(self.commit_time);
        }
    }

    fn note_commit(&mut self, took: Duration) {
        let quick = took <= QUICK_COMMIT_MAX;
        self.quick_commits = if quick { self.quick_commits.saturating_add(1) } else { 0 };
    }

    /// Stores what is new in one commit, then answers every call. Returns whether anything was new.
    fn append_all(&mut self, appends: Vec<Append>) -> io::Result<bool> {
        self.check_room_if_due()?;
        let mut messages =
            Vec::with_capacity(appends.iter().map(|append| append.messages.len()).sum());
        let mut answers = Vec::with_capacity(appends.len());
        for append in appends {
            answers.push((append.messages.len(), append.answer));
            messages.extend(append.messages);
        }
        // On an error the answers are dropped here, which tells every waiter.
        let appended = self.appender.append(messages)?;
        if let Some(rejection) = appended.no_space {
            self.enter_read_only(rejection);
        }
        let last_sequence = self.appender.store().last_sequence();
        self.last_sequence
            .send_if_modified(|last| std::mem::replace(last, last_sequence) != last_sequence);
        let mut outcomes = appended.outcomes.into_iter();
        for (count, answer) in answers {
            // Nobody waits any more if the caller went away; what it sent is stored all the same.
            let _ = answer.send(Ok(outcomes.by_ref().take(count).collect()));
        }
        self.console.show(&appended.stored);
        Ok(!appended.stored.is_empty())
    }

    fn enter_read_only(&mut self, rejection: Rejection) {
        // Refusing more must not put off the next look.
        self.room_check_at.get_or_insert_with(|| Instant::now() + ROOM_CHECK_INTERVAL);
        self.state.send_if_modified(|state| {
            let newly = *state == State::Ready;
            if newly {
                tracing::error!(%rejection, "no space is left: appends are refused, reads go on");
                *state = State::ReadOnly(rejection.to_string());
            }
            newly
        });
    }

    /// Looks whether a full disk has room again, now and then.
    fn check_room_if_due(&mut self) -> io::Result<()> {
        if self.room_check_at.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        match self.appender.make_room() {
            Ok(()) => {
                tracing::info!("there is space again: appends are taken");
                self.room_check_at = None;
                self.state.send_if_modified(|state| {
                    let again = matches!(state, State::ReadOnly(_));
                    if again {
                        *state = State::Ready;
                    }
                    again
                });
            }
            Err(CommitError::NoSpace(_)) => {
                self.room_check_at = Some(Instant::now() + ROOM_CHECK_INTERVAL);
            }
            Err(CommitError::Failed(error)) => return Err(error),
        }
        Ok(())
    }

    /// Writes the idle mark. Without space it is left out: the next append meets the same trouble
    /// and deals with it.
    fn mark_idle(&mut self) -> io::Result<bool> {
        match self.appender.store().mark_idle() {
            Ok(()) | Err(CommitError::NoSpace(_)) => Ok(true),
            Err(CommitError::Failed(error)) => Err(error),
        }
    }
}

/// How long nothing may come before an idle mark, where a commit takes `commit_time`. On a slow disk it
/// would hold up who comes a little later by as much as a commit.
fn idle_mark_delay(commit_time: Duration) -> Duration {
    IDLE_MARK_DELAY.max(commit_time.saturating_mul(IDLE_MARK_COMMIT_TIMES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_slow_disk_the_idle_mark_keeps_out_of_the_way() {
        assert_eq!(idle_mark_delay(Duration::from_micros(200)), IDLE_MARK_DELAY);
        assert_eq!(idle_mark_delay(Duration::from_millis(250)), Duration::from_secs(1));
    }
}
