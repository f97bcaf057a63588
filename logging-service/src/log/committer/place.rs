//! A store that no start would find: new messages are refused, and the process goes on, so that its open
//! files can be saved. Only a restart ends that state.

use std::time::Duration;

use tokio::time::Instant;

use super::Committer;
use crate::{log::state::State, store::Orphaned};

/// How often the store is asked whether a start would find it. Commits ask by themselves.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);

impl Committer {
    /// Lets the state say that nothing is stored any more, and tells the operator once what to do.
    pub(super) fn enter_orphaned(&mut self, orphaned: &Orphaned) {
        self.place_check_at = None;
        self.space_probe_at = None;
        self.state.send_if_modified(|state| match state {
            State::Orphaned(_) | State::Failed(_) => false,
            State::Ready | State::ReadOnly(_) | State::Draining => {
                let Orphaned { reason, remedy } = orphaned;
                tracing::error!("{reason}: nothing is stored any more, reads go on. {remedy}");
                *state = State::Orphaned(reason.clone());
                true
            }
        });
    }

    /// Asks the store, if it is time.
    pub(super) fn check_place_if_due(&mut self) {
        if self.place_check_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.place_check_at = Some(Instant::now() + CHECK_INTERVAL);
        self.check_place();
    }

    /// Asks the store.
    pub(super) fn check_place(&mut self) {
        if let Err(orphaned) = self.appender.check_place() {
            self.enter_orphaned(&orphaned);
        }
    }
}
