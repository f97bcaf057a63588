//! A message that a client has sent.

use uuid::Uuid;

use super::Posted;
use crate::history::{Attempt, Micros, Outcome};

/// A message that a client has sent, or is about to.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its text.
    pub message: String,
    /// What to repeat it with, if anything.
    pub key: Option<String>,
    /// Its id, once an answer told it.
    pub uuid: Option<String>,
    /// Whether there is a receipt.
    pub settled: bool,
    /// Whether an attempt ended in an unknown outcome.
    pub uncertain: bool,
    /// Whether its client lets it be when it is told that surely nothing was stored. A repeat could
    /// cover up that this was a lie.
    pub trusting: bool,
}

/// When a request began, how it ended, and when.
pub type Exchange = (Micros, Posted, Micros);

impl Sent {
    /// One that is about to be sent.
    #[must_use]
    pub const fn new(message: String, key: Option<String>, trusting: bool) -> Self {
        Self { message, key, uuid: None, settled: false, uncertain: false, trusting }
    }

    /// Whether it can and shall be repeated until there is a receipt.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.settled && self.key.is_some() && (self.uncertain || !self.trusting)
    }

    /// Its key in one of the ways to write it.
    pub fn spell(&self, rng: &mut fastrand::Rng) -> Option<String> {
        let key = self.key.as_ref()?;
        let upper = Uuid::try_parse(key).is_ok() && rng.bool();
        let key = if upper { key.to_uppercase() } else { key.clone() };
        Some(if rng.bool() { format!("\"{key}\"") } else { key })
    }

    /// Notes how an attempt ended.
    pub fn note(&mut self, (invoked, posted, ended): Exchange) -> Attempt {
        let Posted { outcome, uuid } = posted;
        let (message, key) = (self.message.clone(), self.key.clone());
        self.settled |= outcome.is_receipt();
        self.uncertain |= outcome == Outcome::Unknown;
        // The id in a failed answer is the key to repeat it with.
        self.key = self.key.take().or_else(|| uuid.clone());
        self.uuid = uuid.or_else(|| self.uuid.take());
        Attempt { message, key, invoked, ended, outcome }
    }
}
