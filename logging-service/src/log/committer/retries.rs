//! The attempts to commit one group where several writers share the log.

use std::{collections::HashSet, time::Duration};

use oncelog::message::{Message, MessageId, Rejection};
use tokio::time::Instant;

use crate::{limits::Limits, rules::Fate};

/// What the attempts so far have come to.
pub(super) struct Retries {
    attempts: u32,
    attempts_max: u32,
    retry_time: Duration,
    /// None before the first attempt has failed.
    deadline: Option<Instant>,
    /// Whether an attempt may still be stored although its answer was lost.
    in_doubt: bool,
    /// Ids that such an attempt has stored.
    landed: HashSet<MessageId>,
}

impl Retries {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            attempts: 0,
            attempts_max: limits.commit_attempts,
            retry_time: limits.commit_retry_time,
            deadline: None,
            in_doubt: false,
            landed: HashSet::new(),
        }
    }

    /// Ids of the group that an earlier attempt to commit it has stored.
    pub(super) fn landed(&self) -> &HashSet<MessageId> {
        &self.landed
    }

    /// Begins one more attempt. Returns whether there were too many already, or they took too long. The
    /// first attempt is always made.
    pub(super) fn are_used_up(&mut self) -> bool {
        self.attempts += 1;
        if self.attempts == 1 {
            return false;
        }
        let now = Instant::now();
        let deadline = *self.deadline.get_or_insert(now + self.retry_time);
        self.attempts > self.attempts_max || now >= deadline
    }

    /// The answer to the last attempt was lost.
    pub(super) fn note_unknown(&mut self) {
        self.in_doubt = true;
    }

    /// The store has read `stored` as a batch of its own. If it is a lost attempt to commit `batch`, this
    /// group was the first to send it.
    pub(super) fn note_landed(&mut self, batch: &[Message], stored: &[Message]) {
        if self.in_doubt {
            let stored: HashSet<_> = stored.iter().map(|message| message.id).collect();
            let ids = batch.iter().map(|message| message.id);
            self.landed.extend(ids.filter(|id| stored.contains(id)));
        }
    }

    /// A batch has been read that comes after all attempts: they are among what was read, or never stored.
    pub(super) fn note_settled(&mut self) {
        self.in_doubt = false;
    }

    /// The fate of a batch that the last attempt surely did not store.
    pub(super) fn not_stored(&self, rejection: Rejection) -> Fate {
        if self.in_doubt { Fate::Unknown } else { Fate::Refused(rejection) }
    }
}
