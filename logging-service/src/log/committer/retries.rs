//! The attempts to commit one group where several writers share the log.

use std::{collections::HashSet, time::Duration};

use oncelog::message::{MessageId, Rejection};
use tokio::time::Instant;

use crate::limits::Limits;

/// What the attempts so far have come to.
pub(super) struct Retries {
    attempts: u32,
    attempts_max: u32,
    retry_time: Duration,
    /// None before the first attempt has failed.
    deadline: Option<Instant>,
    /// Why the store did not answer the last time that it gave no answer.
    trouble: Option<String>,
    /// Ids that an attempt has stored although its answer was lost.
    landed: HashSet<MessageId>,
}

impl Retries {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            attempts: 0,
            attempts_max: limits.commit_attempts,
            retry_time: limits.commit_retry_time,
            deadline: None,
            trouble: None,
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

    /// An attempt of unknown outcome has stored these ids of the group.
    pub(super) fn note_landed(&mut self, ids: impl Iterator<Item = MessageId>) {
        self.landed.extend(ids);
    }

    /// The store did not say whether a batch is stored, or could not read on.
    pub(super) fn note_trouble(&mut self, reason: String) {
        self.trouble = Some(reason);
    }

    /// Warns of what was noted: once for a group, as its attempts may be many.
    pub(super) fn warn(&self) {
        if let Some(reason) = &self.trouble {
            tracing::warn!(reason, "the store did not answer a commit, or could not read on");
        }
    }

    /// Why a batch is not stored whose attempts are used up.
    pub(super) fn rejection(&self) -> Rejection {
        let reason = match self.trouble {
            None => "not stored: other writers of the log came first each time; try again later",
            Some(_) => "not stored: the log did not answer in time; try again later",
        };
        Rejection::Overloaded(reason.to_owned())
    }
}
