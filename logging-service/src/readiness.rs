//! How far the service has come: reading its log, or serving it.

use std::sync::OnceLock;

use oncelog::wire::v1;

use crate::log::{Log, State};

/// Before the log is open there is none; after that there is one for good.
#[derive(Default)]
pub(crate) struct Readiness(OnceLock<Log>);

impl Readiness {
    /// The log is open.
    pub(crate) fn open(&self, log: Log) {
        assert!(self.0.set(log).is_ok(), "the log of a service is opened once");
    }

    /// The log, once it is open.
    pub(crate) fn log(&self) -> Option<&Log> {
        self.0.get()
    }

    /// The state on the wire, and a sentence for people.
    pub(crate) fn state(&self) -> (v1::State, String) {
        let Some(log) = self.log() else {
            return (v1::State::Replaying, "the log is being read and checked".to_owned());
        };
        match &*log.state().borrow() {
            State::Ready => (v1::State::Ready, String::new()),
            State::ReadOnly(reason) => (v1::State::ReadOnly, reason.clone()),
            State::Orphaned(reason) => (v1::State::Orphaned, reason.clone()),
            State::Draining => (v1::State::Draining, "a stop was requested".to_owned()),
            State::Failed(reason) => (v1::State::Failed, reason.clone()),
        }
    }
}
