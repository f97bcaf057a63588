//! What clients did and saw, with times, and what of a run is kept. It knows nothing of the services.
//!
//! # The format of a kept run
//!
//! A kept run is a directory with two files of JSON lines. They are a contract: what was kept once can
//! be checked for ever, so a line of format 1 never changes its meaning. All times are microseconds on
//! one monotonic clock, from the start of the run.
//!
//! `history.jsonl`: each line is an object with one member, whose name says what the line is.
//!
//! | line | is | members |
//! |---|---|---|
//! | `head` | [`Head`]; the first line, once | `format`, `seed`, `program`, `part` if it is one |
//! | `healed` | [`Healed`]; before the first attempt | `at`, `within` |
//! | `peak` | [`Peak`]; before the first attempt | `service`, `what`, `found`, `cap` |
//! | `attempt` | [`Attempt`] | `message`, `key`, `invoked`, `ended`, `outcome` |
//! | `read` | [`Read`] | `began`, `ended`, `complete`, `shown` |
//! | `lookup` | [`Lookup`] | `uuid`, `began`, `ended`, `found` |
//!
//! Attempts of one message are in the order in which their clients noted them. [`Shown`] says how the
//! records of a read become a few numbers.
//!
//! `log.jsonl`: the whole log, or the part of it that the run stored, as it was in the end, a [`Record`] a line, in the order of the log.
//!
//! Format 0 is what was kept before there was a head: no `head`, `healed` or `peak`; a read has all its
//! `records` in place of `shown`; the log is one JSON array in `log.json`. It can still be read.
//!
//! The text of a message is its identity and its content at once: no two messages of a run have the same,
//! so a text that comes back altered is one that was never sent.

mod kept;
mod shown;

use serde::{Deserialize, Serialize};

pub use self::{
    kept::{Event, FORMAT, HISTORY_FILE, Head, Kept, LOG_FILE},
    shown::{Shown, chain},
};

/// Microseconds on one monotonic clock, from the start of the run.
pub type Micros = u64;

/// One try to store one message: one HTTP request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The text, which no other message of the run has: it is what the checker knows it by.
    pub message: String,
    /// The key it was sent with. All attempts with one key are meant for one message.
    pub key: Option<String>,
    /// When it was sent.
    pub invoked: Micros,
    /// When its outcome was known.
    pub ended: Micros,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an attempt ended, as its client understood it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // The line before a variant says what its fields are.
pub enum Outcome {
    /// Success, with a receipt: the id of the message, its place in the log, and whether the answer says
    /// that it was stored before.
    Acknowledged { uuid: String, sequence: u64, replayed: bool },
    /// Surely not stored by this attempt.
    NotStored,
    /// Not known: a timeout, a broken connection, a server error.
    Unknown,
    /// The key is in use by another message.
    Conflict,
    /// The request itself is wrong.
    Refused,
    /// An answer that no client can make sense of.
    Nonsense { answer: String },
}

impl Outcome {
    /// Whether it is a receipt.
    #[must_use]
    pub const fn is_receipt(&self) -> bool {
        matches!(self, Self::Acknowledged { .. })
    }
}

/// A read of the log from its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ReadLine")]
pub struct Read {
    /// When it was asked for.
    pub began: Micros,
    /// When its last byte, or its end, was there.
    pub ended: Micros,
    /// Whether it came to its end; else the connection broke and `shown` is what had arrived.
    pub complete: bool,
    /// What it showed, in its order.
    pub shown: Shown,
}

/// A read of any format.
#[derive(Deserialize)]
struct ReadLine {
    began: Micros,
    ended: Micros,
    complete: bool,
    #[serde(default)]
    shown: Shown,
    #[serde(default)]
    records: Vec<Record>,
}

impl From<ReadLine> for Read {
    fn from(line: ReadLine) -> Self {
        let ReadLine { began, ended, complete, shown, records } = line;
        let shown = if records.is_empty() { shown } else { records[..].into() };
        Self { began, ended, complete, shown }
    }
}

/// A stored message, as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the log.
    pub sequence: u64,
    /// Its id.
    pub uuid: String,
    /// Its text.
    pub message: String,
}

/// A look for one message by its id that came to an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// The id.
    pub uuid: String,
    /// When it was asked for.
    pub began: Micros,
    /// When the answer was there.
    pub ended: Micros,
    /// The message, if there was one.
    pub found: Option<Record>,
}

/// The faults were over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healed {
    /// When.
    pub at: Micros,
    /// How long it may take after that until a new post gets a receipt.
    pub within: Micros,
}

/// The most of something that a service was seen to use, and the most it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peak {
    /// Which service.
    pub service: String,
    /// Of what, with its unit.
    pub what: String,
    /// The most that was seen.
    pub found: u64,
    /// The most that is allowed.
    pub cap: u64,
}

/// Everything of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// What was sent.
    pub attempts: Vec<Attempt>,
    /// What was read.
    pub reads: Vec<Read>,
    /// What was looked up.
    pub lookups: Vec<Lookup>,
    /// When faults were over.
    pub healed: Vec<Healed>,
    /// What the services used at most.
    pub peaks: Vec<Peak>,
}

impl History {
    /// Adds what another client did.
    pub fn merge(&mut self, other: Self) {
        self.attempts.extend(other.attempts);
        self.reads.extend(other.reads);
        self.lookups.extend(other.lookups);
        self.healed.extend(other.healed);
        self.peaks.extend(other.peaks);
    }
}
