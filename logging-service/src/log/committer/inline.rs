//! Inline commits: a handler that finds the committer idle commits its own call.
//!
//! On a fast disk a commit takes a fifth of a millisecond, and to wake the committer thread for it and to be
//! woken by it takes a good part of that again. So a handler makes the commit itself, but only while the
//! disk keeps its word: after one slow commit, and until many in a row were fast, the committer thread makes
//! them all. A disk that stands still then holds up that thread alone, but for the first commit that it
//! meets.

use std::{
    ops::ControlFlow,
    panic::{self, AssertUnwindSafe},
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use super::{Command, Committer, Event};
use crate::limits::InlineCommitLimits;

/// When handlers commit, by what the last commits took.
pub(super) struct InlinePolicy {
    thresholds: InlineCommitLimits,
    /// How many commits in a row were fast.
    fast_commits: u32,
}

impl InlinePolicy {
    pub(super) fn new(thresholds: InlineCommitLimits) -> Self {
        Self { thresholds, fast_commits: 0 }
    }

    /// Whether the next commit, `gap` after the last one, surely is fast, and no other call seems to wait.
    pub(super) fn allows(&self, gap: Duration) -> bool {
        self.fast_commits >= self.thresholds.fast_commits_min
            // An earlier call was already waiting for this commit. Handlers that wait for each other would
            // make a commit each; on the committer thread they share one.
            && (self.thresholds.gap_min..self.thresholds.gap_max).contains(&gap)
    }

    /// A commit or a seal took so long.
    pub(super) fn note_commit(&mut self, took: Duration) {
        let fast = took <= self.thresholds.commit_time_max;
        self.fast_commits = if fast { self.fast_commits.saturating_add(1) } else { 0 };
    }
}

/// What became of a command that a handler tried to carry out.
pub(super) enum Inline {
    /// It is carried out. If `wake`, the committer thread waits for something else than it should.
    Done { wake: bool },
    /// The committer is busy, has ended, or has a slow disk.
    Not(Command),
}

/// Holds the committer for its thread and for handlers. It is empty once the committer has ended.
pub(super) struct Cell(Mutex<Option<Committer>>);

impl Cell {
    pub(super) fn new(committer: Committer) -> Self {
        Self(Mutex::new(Some(committer)))
    }

    /// Waits for the lock of the committer.
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Committer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out `command` on the calling thread, if the committer is idle and its disk fast.
    pub(super) fn try_inline(&self, command: Command) -> Inline {
        let mut slot = match self.0.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Inline::Not(command),
        };
        let Some(committer) = slot.as_mut().filter(|committer| committer.may_inline()) else {
            return Inline::Not(command);
        };
        // While the log is sealed, the thread does not wait for the time of the next seal.
        let was_sealed = !committer.needs_seal;
        let ended = handle(&mut slot, Event::Command(command), || None).is_break();
        Inline::Done { wake: was_sealed || ended }
    }
}

/// Lets the committer handle `event`. Breaks when that was its last: then it is gone, its store is closed,
/// and a panic of it is a failure in the state of the log.
pub(super) fn handle(
    slot: &mut Option<Committer>,
    event: Event,
    waiting: impl FnMut() -> Option<Command>,
) -> ControlFlow<()> {
    let Some(committer) = slot else { return ControlFlow::Break(()) };
    let handled = panic::catch_unwind(AssertUnwindSafe(|| committer.handle(event, waiting)));
    let ended = match handled {
        Ok(Ok(ControlFlow::Continue(()))) => return ControlFlow::Continue(()),
        Ok(ended) => Ok(ended.map(drop)),
        Err(panic) => Err(panic),
    };
    committer.end(ended);
    *slot = None;
    ControlFlow::Break(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Allows inline commits after three fast commits.
    fn policy() -> InlinePolicy {
        let default = Limits::default().inline_commit;
        InlinePolicy::new(InlineCommitLimits { fast_commits_min: 3, ..default })
    }

    fn note_fast(policy: &mut InlinePolicy, commits: usize) {
        for _ in 0..commits {
            policy.note_commit(policy.thresholds.commit_time_max);
        }
    }

    #[test]
    fn one_slow_commit_ends_inline_commits_until_enough_are_fast() {
        let mut policy = policy();
        note_fast(&mut policy, 2);
        assert!(!policy.allows(MILLISECOND));
        note_fast(&mut policy, 1);
        assert!(policy.allows(MILLISECOND));
        policy.note_commit(policy.thresholds.commit_time_max + Duration::from_nanos(1));
        note_fast(&mut policy, 2);
        assert!(!policy.allows(MILLISECOND));
        note_fast(&mut policy, 1);
        assert!(policy.allows(MILLISECOND));
    }

    #[test]
    fn only_a_gap_within_its_bounds_allows_an_inline_commit() {
        let mut policy = policy();
        note_fast(&mut policy, 3);
        let InlineCommitLimits { gap_min, gap_max, .. } = policy.thresholds;
        let moment = Duration::from_nanos(1);
        assert!(policy.allows(gap_min) && policy.allows(gap_max - moment));
        assert!(!policy.allows(gap_min - moment) && !policy.allows(gap_max));
    }
}
