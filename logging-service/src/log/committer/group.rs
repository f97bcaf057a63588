//! Group commit: the append calls that one frame makes durable.

use std::sync::atomic::{AtomicUsize, Ordering};

use oncelog::message::{Message, Outcome};
use tokio::sync::oneshot;

use super::Command;
use crate::{limits::Limits, log::AppendError};

/// What one append call is answered.
pub(super) type Reply = Result<Vec<Outcome>, AppendError>;

/// One append call.
pub(super) struct Append {
    pub(super) messages: Vec<Message>,
    /// Body bytes, as they were added to [`WaitingBytes`].
    pub(super) bytes: usize,
    /// Dropped without an answer if the committer fails.
    pub(super) reply: oneshot::Sender<Reply>,
}

/// Calls that are committed together.
pub(super) struct Group {
    calls: Vec<Append>,
    /// Body bytes of all of them.
    pub(super) bytes: usize,
    /// Whether a stop was found behind them.
    pub(super) stop: bool,
}

impl Group {
    /// `first`, and as many of the waiting calls as fit one frame. There is no timer: calls that are not
    /// in the queue yet are not waited for.
    pub(super) fn coalesce(
        first: Append,
        mut waiting: impl FnMut() -> Option<Command>,
        limits: &Limits,
    ) -> Self {
        let (mut messages, mut bytes) = (first.messages.len(), first.bytes);
        let mut calls = vec![first];
        let mut stop = false;
        while !stop && messages < limits.frame_messages && bytes < limits.frame_bytes {
            match waiting() {
                Some(Command::Append(append)) => {
                    messages += append.messages.len();
                    bytes += append.bytes;
                    calls.push(append);
                }
                Some(Command::Wake) => {}
                Some(Command::Stop) => stop = true,
                None => break,
            }
        }
        Self { calls, bytes, stop }
    }

    /// The messages of all calls in order, and the callers that wait for their outcomes.
    pub(super) fn into_parts(self) -> (Vec<Message>, Callers) {
        let count = self.calls.iter().map(|call| call.messages.len()).sum();
        let mut messages = Vec::with_capacity(count);
        let mut callers = Vec::with_capacity(self.calls.len());
        for call in self.calls {
            callers.push((call.messages.len(), call.reply));
            messages.extend(call.messages);
        }
        (messages, Callers(callers))
    }
}

/// The callers of a group: how many messages each has sent, and where it waits. Dropping them tells each
/// that its outcome is unknown.
pub(super) struct Callers(Vec<(usize, oneshot::Sender<Reply>)>);

impl Callers {
    /// Gives each caller the outcomes of its messages, or tells it that they are unknown.
    ///
    /// # Panics
    /// If there is not one outcome for each message. No caller has been answered then.
    pub(super) fn reply(self, outcomes: Vec<Option<Outcome>>) {
        let sent: usize = self.0.iter().map(|(count, _)| count).sum();
        assert_eq!(outcomes.len(), sent, "one outcome for each message of a group");
        let mut outcomes = outcomes.into_iter();
        for (count, reply) in self.0 {
            let own: Vec<_> = outcomes.by_ref().take(count).collect();
            let known: Option<Vec<Outcome>> = own.into_iter().collect();
            // The caller may have gone away; its messages are stored all the same.
            let _ = reply.send(known.ok_or(AppendError::Unknown));
        }
    }
}

/// The body bytes in the commit queue.
pub(super) struct WaitingBytes {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl WaitingBytes {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Adds `bytes` if they fit, or if nothing waits: one call alone always fits.
    pub(super) fn try_add(&self, bytes: usize) -> bool {
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = waiting == 0 || waiting + bytes <= self.bytes_max;
        if !fits {
            self.remove(bytes);
        }
        fits
    }

    /// # Panics
    /// If more is removed than was added.
    pub(super) fn remove(&self, bytes: usize) {
        let waiting = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        assert!(waiting >= bytes, "{bytes} bytes leave the commit queue, which has {waiting}");
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn waiting_bytes_are_bounded_but_one_call_always_fits() {
        let waiting = WaitingBytes::new(10);
        assert!(waiting.try_add(25), "nothing waits");
        assert!(!waiting.try_add(1));
        waiting.remove(25);
        assert!(waiting.try_add(4) && waiting.try_add(6));
        assert!(!waiting.try_add(1), "a refused call leaves no bytes behind, and takes none");
        waiting.remove(10);
        assert!(waiting.try_add(10));
    }

    #[test]
    fn what_does_not_add_up_is_a_panic() {
        let waiting = WaitingBytes::new(10);
        assert!(waiting.try_add(1));
        assert!(catch_unwind(|| waiting.remove(2)).is_err(), "more bytes leave than wait");

        let (reply, mut replied) = oneshot::channel();
        let reply = || Callers(vec![(2, reply)]).reply(vec![Some(Outcome::Conflict)]);
        assert!(catch_unwind(AssertUnwindSafe(reply)).is_err(), "an outcome is missing");
        assert!(replied.try_recv().is_err(), "a caller was answered in part");
    }
}
