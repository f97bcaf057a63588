//! Checks a history: pure functions over what clients saw and what is stored in the end.
//!
//! - [`Invariant`]: what must hold; [`Violation`]: the ways to break it
//! - [`Checker`]: takes the facts of a run, one after the other, and gives a [`Verdict`]
//! - `facts`: what it keeps of them; `rules`: the rules over them
//!
//! Each rule has a hand-made bad history in `tests/checker_tests` that it must catch. `check.py` beside
//! the package is a second checker, which shares no line with this one; `second` asks it, and
//! `tests/agreement.rs` holds them against each other.

mod facts;
mod invariant;
mod names;
mod rules;
mod second;
mod violation;

use std::{collections::BTreeSet, io};

pub use self::{
    facts::{Checker, Scope},
    invariant::Invariant,
    second::{SecondChecker, SecondVerdict},
    violation::{Promise, Violation},
};
use crate::history::{Event, History, Kept, Record};

/// What a run did, in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Account {
    /// Requests that posted something.
    pub attempts: usize,
    /// Different messages in them.
    pub messages: usize,
    /// Messages with a receipt.
    pub acknowledged: usize,
    /// Repeats that were answered with the receipt of the first record.
    pub absorbed: usize,
    /// Attempts that were surely not stored.
    pub not_stored: usize,
    /// Attempts of unknown outcome.
    pub unknown: usize,
    /// Attempts that used the key of another message.
    pub conflicts: usize,
    /// Attempts that were wrong.
    pub refused: usize,
    /// Messages with an attempt of unknown outcome.
    pub uncertain: usize,
    /// Those of them that a repeat got a receipt for.
    pub resolved: usize,
    /// Those of them without a receipt that are stored.
    pub unknown_stored: usize,
    /// Those of them without a receipt that are not stored.
    pub unknown_absent: usize,
    /// Records in the log.
    pub stored: usize,
}

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What the run did.
    pub account: Account,
    /// What is wrong with it. None says that no promise was broken, and that the run could have shown it.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// What did not hold.
    #[must_use]
    pub fn broken(&self) -> BTreeSet<Invariant> {
        self.violations.iter().filter_map(Violation::invariant).collect()
    }

    /// Whether the run had no unknown outcome, or absorbed no repeat, and so shows nothing.
    #[must_use]
    pub fn vacuous(&self) -> bool {
        self.violations.iter().any(Violation::is_vacuous)
    }
}

/// The verdict on `history`, given the `log` as it is in the end, or the part of it that `scope` says.
#[must_use]
pub fn verdict(history: &History, log: &[Record], scope: Scope) -> Verdict {
    let mut checker = Checker::new(scope);
    history.healed.iter().for_each(|healed| checker.healed(*healed));
    history.peaks.iter().for_each(|peak| checker.peak(peak.clone()));
    history.attempts.iter().for_each(|attempt| checker.attempt(attempt));
    history.reads.iter().for_each(|read| checker.read(read.clone()));
    history.lookups.iter().for_each(|lookup| checker.lookup(lookup));
    log.iter().for_each(|record| checker.record(record));
    checker.verdict()
}

/// The verdict on a kept run, which is read line by line.
///
/// # Errors
/// Its files cannot be read or understood.
pub fn verdict_of_kept(kept: &Kept) -> io::Result<Verdict> {
    let mut checker = Checker::default();
    for event in kept.events()? {
        match event? {
            Event::Head(head) if head.part => checker.scope = Scope::OwnRecords,
            Event::Head(_) => {}
            Event::Healed(healed) => checker.healed(healed),
            Event::Peak(peak) => checker.peak(peak),
            Event::Attempt(attempt) => checker.attempt(&attempt),
            Event::Read(read) => checker.read(read),
            Event::Lookup(lookup) => checker.lookup(&lookup),
        }
    }
    for record in kept.log()? {
        checker.record(&record?);
    }
    Ok(checker.verdict())
}

/// All that is wrong with `history`: see [`Verdict::violations`].
#[must_use]
pub fn check(history: &History, log: &[Record]) -> Vec<Violation> {
    verdict(history, log, Scope::WholeLog).violations
}

/// As [`check`], for a run that is one of many: it alone need not have shown anything.
#[must_use]
pub fn broken(history: &History, log: &[Record]) -> Vec<Violation> {
    let mut violations = check(history, log);
    violations.retain(|violation| !violation.is_vacuous());
    violations
}

/// The figures of a run: stored = acknowledged + unknown ones that were stored.
#[must_use]
pub fn account(history: &History, log: &[Record]) -> Account {
    verdict(history, log, Scope::WholeLog).account
}
