//! How far the service has come, and what is the matter with its log.

use std::sync::OnceLock;

use oncelog::wire::v1;

use crate::log::{Log, State};

/// Before the log is open there is none; after that there is one for good.
#[derive(Default)]
pub(crate) struct Readiness(OnceLock<Log>);

/// A state on the wire, and a sentence for people.
type Condition = (v1::State, String);

impl Readiness {
    /// The log is open.
    pub(crate) fn open(&self, log: Log) {
        assert!(self.0.set(log).is_ok(), "the log of a service is opened once");
    }

    /// The log, once it is open.
    pub(crate) fn log(&self) -> Option<&Log> {
        self.0.get()
    }

    /// The state on the wire, and why it is not ready, in sentences for people. Of several conditions the first
    /// one is the state.
    pub(crate) fn state(&self) -> (v1::State, String) {
        let conditions = match self.log() {
            Some(log) => conditions(log),
            None => vec![(v1::State::Replaying, "the log is being read and checked".to_owned())],
        };
        let state = conditions.first().map_or(v1::State::Ready, |(state, _)| *state);
        let reasons: Vec<_> = conditions.into_iter().map(|(_, reason)| reason).collect();
        (state, reasons.join("; "))
    }
}

/// What is the matter with `log`, the gravest first: what ends it, what is wrong with the data it has, what it
/// does not take now.
fn conditions(log: &Log) -> Vec<Condition> {
    let state = log.state().borrow().clone();
    let (ending, not_writing) = match state {
        State::Failed(reason) => (Some((v1::State::Failed, reason)), None),
        State::Draining => (Some((v1::State::Draining, "a stop was requested".to_owned())), None),
        State::Orphaned(reason) => (Some((v1::State::Orphaned, reason)), None),
        State::ReadOnly(reason) => (None, Some((v1::State::ReadOnly, reason))),
        State::Ready => (None, None),
    };
    [ending, damage(log), not_writing].into_iter().flatten().collect()
}

fn damage(log: &Log) -> Option<Condition> {
    let found = log.damage().borrow().clone()?;
    let reason = format!(
        "{found}; messages are stored, but not all that is stored can be read. Stop the service and repair its \
         journal with `oncelog journal repair`"
    );
    Some((v1::State::Damaged, reason))
}
