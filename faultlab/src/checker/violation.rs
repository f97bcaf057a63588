//! The ways a promise can be broken.

use std::fmt;

use super::Invariant;
use crate::history::{Micros, Peak};

/// A broken promise. It names enough to find the place in the kept history: messages by their text, places
/// by their sequence, times in microseconds from the start of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The line before a variant says what its fields are.
pub enum Violation {
    /// Acknowledged with `sequence`, and missed in `seen_in`.
    Lost { message: String, sequence: u64, seen_in: &'static str },
    /// One message or one id has two records.
    StoredTwice { what: String, sequences: [u64; 2] },
    /// Stored, but it was never sent, or every answer said that it was not taken.
    Phantom { message: String, sequence: u64 },
    /// An id has another content than was acknowledged with it.
    Altered { uuid: String, acknowledged: String, stored: String },
    /// Two receipts of one message differ.
    ReceiptsDiffer { message: String },
    /// "Stored before" was said of a message that was not sent before.
    ReplayOfNothing { message: String },
    /// The record at the place `expected` of the log has the number `found`.
    Gap { expected: u64, found: u64 },
    /// The second was sent after the first was acknowledged, and comes before it in the log.
    OutOfOrder { acknowledged: String, sent_later: String },
    /// What was read is not the beginning of the log, and `sequence` the first record that is not there. Of
    /// a whole read: it, or one of those between it and the mark before, as `Shown` has them.
    NotAPrefix { sequence: u64 },
    /// A later read shows `after` records, less than the `before` that an earlier one had shown.
    Shrunk { before: u64, after: u64 },
    /// A record that a read or a lookup had found is missing in a later one.
    Vanished { uuid: String },
    /// Two different messages with one key are stored.
    KeySharedBy { key: String, messages: [String; 2] },
    /// Two different messages with one key have receipts.
    ConflictAccepted { key: String, messages: [String; 2] },
    /// A repeat of the very message that is stored under this key was called another message, or
    /// nothing can be stored under it.
    FalseConflict { message: String },
    /// What has a receipt was refused as wrong at another time: what is wrong stays so.
    FalseRefusal { message: String },
    /// An answer is none of success, surely not stored and unknown.
    Nonsense { message: String, answer: String },
    /// The log has `stored` records. Receipts, and unknown outcomes that are there, explain another number.
    Unaccounted { stored: usize, explained: usize },
    /// After the faults were over, no new post got a receipt in time.
    Stalled { healed: Micros, within: Micros },
    /// After the faults were over, a repeat did not get a receipt in time.
    Unresolved { message: String },
    /// A service used more of something than it may.
    Unbounded(Peak),
    /// The run had no attempt of unknown outcome, or no repeat that got the receipt of the first record: it
    /// proves nothing.
    Vacuous { unknown: usize, absorbed: usize },
}

/// What was promised, in the words of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// What is acknowledged stays.
    NothingLost,
    /// One message has one record and one receipt.
    NothingDoubled,
    /// There is one order, and it does not change.
    NothingReordered,
    /// Answers are true, and every message can be brought to its receipt.
    HonestAnswers,
    /// What the services use has an end.
    Bounded,
    /// None: the run did not test anything.
    NotVacuous,
}

impl Violation {
    /// The promise it breaks.
    #[must_use]
    pub const fn promise(&self) -> Promise {
        self.breaks().0
    }

    /// What did not hold. `None`: nothing was tested.
    #[must_use]
    pub const fn invariant(&self) -> Option<Invariant> {
        self.breaks().1
    }

    /// Whether it only says that the run tested nothing.
    #[must_use]
    pub fn is_vacuous(&self) -> bool {
        self.promise() == Promise::NotVacuous
    }

    const fn breaks(&self) -> (Promise, Option<Invariant>) {
        use Invariant::*;
        use Promise::*;
        let (promise, invariant) = match self {
            Self::Lost { .. } => (NothingLost, I1),
            Self::StoredTwice { .. } => (NothingDoubled, I2),
            Self::Altered { .. } => (NothingLost, I3),
            Self::Phantom { .. } => (HonestAnswers, I4),
            Self::ReceiptsDiffer { .. } => (NothingDoubled, I5),
            Self::ReplayOfNothing { .. } => (HonestAnswers, I5),
            Self::Gap { .. } => (NothingReordered, I6),
            Self::OutOfOrder { .. } => (NothingReordered, I7),
            Self::NotAPrefix { .. } | Self::Shrunk { .. } | Self::Vanished { .. } => {
                (NothingReordered, I8)
            }
            Self::KeySharedBy { .. } => (NothingDoubled, I9),
            Self::ConflictAccepted { .. } | Self::FalseConflict { .. } => (HonestAnswers, I9),
            Self::FalseRefusal { .. } | Self::Nonsense { .. } => (HonestAnswers, I10),
            Self::Stalled { .. } | Self::Unresolved { .. } => (HonestAnswers, I11),
            Self::Unaccounted { .. } => (HonestAnswers, I12),
            Self::Unbounded(_) => (Bounded, I14),
            Self::Vacuous { .. } => return (NotVacuous, None),
        };
        (promise, Some(invariant))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.invariant() {
            Some(invariant) => write!(f, "{invariant}: {self:?}"),
            None => write!(f, "{self:?}"),
        }
    }
}
