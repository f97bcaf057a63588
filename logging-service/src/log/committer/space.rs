//! A full disk: new messages are refused, and now and then the committer probes for space.

use std::{io, time::Duration};

use oncelog::message::Rejection;
use tokio::time::Instant;

use super::Committer;
use crate::{log::state::State, store::CommitError};

/// How often a full disk is probed for space, and how often an idle log in doubt reads on.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(1);

impl Committer {
    /// Lets the state say that there is no space.
    pub(super) fn enter_read_only(&mut self, rejection: &Rejection) {
        // Refusing more must not put off the next probe.
        self.space_probe_at.get_or_insert_with(|| Instant::now() + PROBE_INTERVAL);
        self.state.send_if_modified(|state| {
            let newly = *state == State::Ready;
            if newly {
                tracing::error!(%rejection, "no space is left: appends are refused, reads go on");
                *state = State::ReadOnly(rejection.to_string());
            }
            newly
        });
    }

    /// Probes a full disk for space, if it is time.
    ///
    /// # Errors
    /// The disk failed.
    pub(super) fn probe_space_if_due(&mut self) -> io::Result<()> {
        if self.space_probe_at.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        match self.appender.probe_space() {
            Ok(()) => {
                tracing::info!("there is space again: appends are taken");
                self.space_probe_at = None;
                self.state.send_if_modified(|state| {
                    let again = matches!(state, State::ReadOnly(_));
                    if again {
                        *state = State::Ready;
                    }
                    again
                });
            }
            Err(CommitError::NoSpace(_)) => {
                self.space_probe_at = Some(Instant::now() + PROBE_INTERVAL);
            }
            Err(CommitError::Orphaned(orphaned) | CommitError::WrittenToOrphan(orphaned)) => {
                self.enter_orphaned(&orphaned);
            }
            Err(CommitError::Failed(error)) => return Err(error),
        }
        Ok(())
    }
}
