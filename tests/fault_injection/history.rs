//! What clients did and saw, with times. It knows nothing of the services: a history can be kept as
//! JSON lines and judged again later.

use std::io::Write;

use serde::{Deserialize, Serialize};

/// Microseconds on one monotonic clock, from the start of the run.
pub(crate) type Micros = u64;

/// One try to store one message: one HTTP request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The text, which no other message of the run has: it is what the checker knows it by.
    pub(crate) message: String,
    /// The key it was sent with. All attempts with one key are meant for one message.
    pub(crate) key: Option<String>,
    pub(crate) invoked: Micros,
    pub(crate) ended: Micros,
    pub(crate) outcome: Outcome,
}

/// How an attempt ended, as its client understood it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Success, with a receipt. `replayed`: it says that it was stored before.
    Acknowledged { uuid: String, sequence: u64, replayed: bool },
    /// Surely not stored by this attempt.
    NotStored,
    /// Nobody told: a timeout, a broken connection, a server error.
    Unknown,
    /// The key is in use by another message.
    Conflict,
    /// The request itself is wrong.
    Refused,
}

/// A read of the log from its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Read {
    pub(crate) began: Micros,
    pub(crate) ended: Micros,
    /// Whether it came to its end; else the connection broke and `records` is what had arrived.
    pub(crate) complete: bool,
    pub(crate) records: Vec<Record>,
}

/// A stored message, as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) sequence: u64,
    pub(crate) uuid: String,
    pub(crate) message: String,
}

/// A look for one message by its id that came to an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lookup {
    pub(crate) uuid: String,
    pub(crate) began: Micros,
    pub(crate) ended: Micros,
    pub(crate) found: Option<Record>,
}

/// Everything of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) reads: Vec<Read>,
    pub(crate) lookups: Vec<Lookup>,
}

impl History {
    /// Adds what another client did.
    pub(crate) fn merge(&mut self, other: Self) {
        self.attempts.extend(other.attempts);
        self.reads.extend(other.reads);
        self.lookups.extend(other.lookups);
    }

    /// One event a line.
    pub(crate) fn write_json_lines(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut line = |kind: &str, event: serde_json::Value| {
            writeln!(out, "{}", serde_json::json!({ kind: event }))
        };
        for attempt in &self.attempts {
            line("attempt", serde_json::to_value(attempt)?)?;
        }
        for read in &self.reads {
            line("read", serde_json::to_value(read)?)?;
        }
        for lookup in &self.lookups {
            line("lookup", serde_json::to_value(lookup)?)?;
        }
        Ok(())
    }
}
