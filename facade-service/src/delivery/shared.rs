//! What waiters and the dispatcher share.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::queue::Queue;

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    /// Told whenever a waiter leaves whose message is in the batch under way.
    pub(super) departure: Notify,
    /// Why the last attempt failed, if none has succeeded since.
    last_failure: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn record_failure(&self, text: &str) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }

    pub(super) fn clear_failure(&self) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// `text`, and why the last attempt failed if it did.
    pub(super) fn explain(&self, text: &str) -> String {
        match &*self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => format!("{text}: {failure}"),
            None => text.to_owned(),
        }
    }
}
