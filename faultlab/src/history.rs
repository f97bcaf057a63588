//! What clients did and saw, with times. It knows nothing of the services: a history can be kept as
//! JSON lines and judged again later.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

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
pub enum Outcome {
    /// Success, with a receipt.
    Acknowledged {
        /// The id of the message.
        uuid: String,
        /// Its place in the log.
        sequence: u64,
        /// Whether the answer says that it was stored before.
        replayed: bool,
    },
    /// Surely not stored by this attempt.
    NotStored,
    /// Nobody told: a timeout, a broken connection, a server error.
    Unknown,
    /// The key is in use by another message.
    Conflict,
    /// The request itself is wrong.
    Refused,
    /// An answer that no client can make sense of.
    Nonsense {
        /// What it was.
        answer: String,
    },
}

/// A read of the log from its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// When it was asked for.
    pub began: Micros,
    /// When its last byte, or its end, was there.
    pub ended: Micros,
    /// Whether it came to its end; else the connection broke and `records` is what had arrived.
    pub complete: bool,
    /// What it showed, in its order.
    pub records: Vec<Record>,
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

/// Everything of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// What was sent.
    pub attempts: Vec<Attempt>,
    /// What was read.
    pub reads: Vec<Read>,
    /// What was looked up.
    pub lookups: Vec<Lookup>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Attempt(Attempt),
    Read(Read),
    Lookup(Lookup),
}

impl History {
    /// Adds what another client did.
    pub fn merge(&mut self, other: Self) {
        self.attempts.extend(other.attempts);
        self.reads.extend(other.reads);
        self.lookups.extend(other.lookups);
    }

    /// Writes one event a line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_json_lines(&self, out: &mut impl Write) -> io::Result<()> {
        let attempts = self.attempts.iter().cloned().map(Event::Attempt);
        let reads = self.reads.iter().cloned().map(Event::Read);
        let lookups = self.lookups.iter().cloned().map(Event::Lookup);
        for event in attempts.chain(reads).chain(lookups) {
            serde_json::to_writer(&mut *out, &event)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Reads what [`History::write_json_lines`] wrote, so that a kept history can be judged again.
    ///
    /// # Errors
    /// Those of `input`, and a line that is no event.
    pub fn read_json_lines(input: impl BufRead) -> io::Result<Self> {
        let mut history = Self::default();
        for line in input.lines() {
            match serde_json::from_str(&line?)? {
                Event::Attempt(attempt) => history.attempts.push(attempt),
                Event::Read(read) => history.reads.push(read),
                Event::Lookup(lookup) => history.lookups.push(lookup),
            }
        }
        Ok(history)
    }
}
