//! What must hold, each with its number.

use std::fmt;

/// What must hold in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// What has a receipt is in every whole read that began later, at its place, also after a crash.
    I1,
    /// A message has one record, and an id has one.
    I2,
    /// What is stored under an id is what was acknowledged under it.
    I3,
    /// What is stored was sent, and not refused.
    I4,
    /// All receipts of a message say the same, and "stored before" is said only of what was sent before.
    I5,
    /// The numbers of the log grow by one.
    I6,
    /// What is sent after a receipt comes after the message with that receipt.
    I7,
    /// Whatever was read is the beginning of what is read later.
    I8,
    /// A key has one message: another one is refused, and the owner is not.
    I9,
    /// An answer is success, surely not stored, or unknown.
    I10,
    /// When faults are over, new posts succeed soon, and what was unknown gets its receipt.
    I11,
    /// What is stored is what was acknowledged, and some of what is unknown.
    I12,
    /// Damaged data is refused and left as it is. No history shows this: the tests of the journal and
    /// of its process check it.
    I13,
    /// Memory, open files and threads stay below their caps.
    I14,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 14] = {
        use Invariant::*;
        [I1, I2, I3, I4, I5, I6, I7, I8, I9, I10, I11, I12, I13, I14]
    };

    /// Its name, such as `I2`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.words().0
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::I1 => ("I1", "no acknowledged loss"),
            Self::I2 => ("I2", "no duplicate"),
            Self::I3 => ("I3", "intact"),
            Self::I4 => ("I4", "no phantom"),
            Self::I5 => ("I5", "stable receipt"),
            Self::I6 => ("I6", "order without gaps"),
            Self::I7 => ("I7", "real time"),
            Self::I8 => ("I8", "prefix reads"),
            Self::I9 => ("I9", "conflict"),
            Self::I10 => ("I10", "honest failure"),
            Self::I11 => ("I11", "progress"),
            Self::I12 => ("I12", "accounting"),
            Self::I13 => ("I13", "refuse, do not guess"),
            Self::I14 => ("I14", "bounded"),
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, name) = self.words();
        write!(f, "{id} {name}")
    }
}
