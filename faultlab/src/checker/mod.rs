//! Judges a history: pure functions over what clients saw and what is stored in the end.
//!
//! Each rule has a hand-made bad history in `tests/checker_exam.rs` that it must catch.

mod violation;

use std::collections::{BTreeMap, HashMap, HashSet};

pub use self::violation::{Promise, Violation};
use crate::history::{Attempt, History, Micros, Outcome, Record};

/// What a run did, in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// Attempts nobody told the outcome of.
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

/// All that is wrong with `history`, given the whole `log` as it is in the end.
///
/// An empty answer says that no promise was broken, and that the run could have shown it.
#[must_use]
pub fn judge(history: &History, log: &[Record]) -> Vec<Violation> {
    let sent = by_message(history);
    let mut violations = dense(log);
    violations.extend(once(log));
    violations.extend(no_phantom(&sent, log));
    violations.extend(receipts(&sent, log));
    violations.extend(real_time(&sent, log));
    violations.extend(reads(history, log));
    violations.extend(lookups(history, log));
    violations.extend(one_message_a_key(history, log));
    violations.extend(honest(history));
    let account = account(history, log);
    violations.extend(accounts(&account));
    violations.extend(vacuous(&account));
    violations
}

/// As [`judge`], for a run that is one of many: it alone need not have shown anything.
#[must_use]
pub fn broken(history: &History, log: &[Record]) -> Vec<Violation> {
    let mut violations = judge(history, log);
    violations.retain(|violation| violation.promise() != Promise::NotVacuous);
    violations
}

type Sent<'a> = BTreeMap<&'a str, Vec<&'a Attempt>>;

fn by_message(history: &History) -> Sent<'_> {
    let mut sent = Sent::new();
    for attempt in &history.attempts {
        sent.entry(&attempt.message).or_default().push(attempt);
    }
    sent
}

fn dense(log: &[Record]) -> Vec<Violation> {
    let numbered = (1..).zip(log);
    numbered
        .filter(|(expected, record)| record.sequence != *expected)
        .map(|(expected, record)| Violation::Gap { expected, found: record.sequence })
        .collect()
}

fn once(log: &[Record]) -> Vec<Violation> {
    let mut seen = HashMap::new();
    let mut violations = Vec::new();
    for record in log {
        for what in [&record.message, &record.uuid] {
            if let Some(first) = seen.insert(what, record.sequence) {
                let sequences = [first, record.sequence];
                violations.push(Violation::StoredTwice { what: what.clone(), sequences });
            }
        }
    }
    violations
}

fn no_phantom(sent: &Sent<'_>, log: &[Record]) -> Vec<Violation> {
    let may_be_stored = |attempt: &&Attempt| match attempt.outcome {
        Outcome::Acknowledged { .. } | Outcome::Unknown => true,
        Outcome::NotStored | Outcome::Conflict | Outcome::Refused | Outcome::Nonsense { .. } => {
            false
        }
    };
    log.iter()
        .filter(|record| {
            !sent.get(&*record.message).is_some_and(|attempts| attempts.iter().any(may_be_stored))
        })
        .map(|record| Violation::Phantom {
            message: record.message.clone(),
            sequence: record.sequence,
        })
        .collect()
}

/// A receipt and the attempt that got it.
struct Receipt<'a> {
    attempt: &'a Attempt,
    uuid: &'a str,
    sequence: u64,
    replayed: bool,
}

fn receipts_of<'a>(attempts: &[&'a Attempt]) -> Vec<Receipt<'a>> {
    let mut receipts = Vec::new();
    for attempt in attempts {
        if let Outcome::Acknowledged { uuid, sequence, replayed } = &attempt.outcome {
            receipts.push(Receipt { attempt, uuid, sequence: *sequence, replayed: *replayed });
        }
    }
    receipts
}

fn receipts(sent: &Sent<'_>, log: &[Record]) -> Vec<Violation> {
    let by_sequence: HashMap<u64, &Record> =
        log.iter().map(|record| (record.sequence, record)).collect();
    let mut violations = Vec::new();
    for (message, attempts) in sent {
        let message = (*message).to_owned();
        let receipts = receipts_of(attempts);
        let Some(first) = receipts.first() else { continue };
        if receipts.iter().any(|other| (other.uuid, other.sequence) != (first.uuid, first.sequence))
        {
            violations.push(Violation::ReceiptsDiffer { message: message.clone() });
        }
        if attempts.iter().any(|attempt| attempt.outcome == Outcome::Conflict) {
            violations.push(Violation::FalseConflict { message: message.clone() });
        }
        let record = by_sequence.get(&first.sequence);
        if !record.is_some_and(|found| found.message == message && found.uuid == first.uuid) {
            let (sequence, seen_in) = (first.sequence, "the final log");
            violations.push(Violation::Lost { message: message.clone(), sequence, seen_in });
        }
        for receipt in receipts.iter().filter(|receipt| receipt.replayed) {
            let earlier = |other: &&&Attempt| {
                !std::ptr::eq(**other, receipt.attempt) && other.invoked < receipt.attempt.ended
            };
            if !attempts.iter().any(|other| earlier(&other)) {
                violations.push(Violation::ReplayOfNothing { message: message.clone() });
            }
        }
    }
    violations
}

fn real_time(sent: &Sent<'_>, log: &[Record]) -> Vec<Violation> {
    let mut violations = Vec::new();
    // Walking backwards: the earliest receipt among all records that come later in the log.
    let mut earliest: Option<(Micros, &str)> = None;
    for record in log.iter().rev() {
        let Some(attempts) = sent.get(&*record.message) else { continue };
        let invoked = attempts.iter().map(|attempt| attempt.invoked).min();
        if let (Some((acknowledged, message)), Some(invoked)) = (earliest, invoked)
            && acknowledged < invoked
        {
            violations.push(Violation::OutOfOrder {
                acknowledged: message.to_owned(),
                sent_later: record.message.clone(),
            });
        }
        let receipt = receipts_of(attempts).iter().map(|receipt| receipt.attempt.ended).min();
        earliest = [earliest, receipt.map(|at| (at, &*record.message))].into_iter().flatten().min();
    }
    violations
}

fn reads(history: &History, log: &[Record]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let receipts = receipts_of(&history.attempts.iter().collect::<Vec<_>>());
    for read in &history.reads {
        let differs = |&(at, record): &(usize, &Record)| log.get(at) != Some(record);
        if let Some((_, record)) = read.records.iter().enumerate().find(differs) {
            violations.push(Violation::NotAPrefix { sequence: record.sequence });
        }
        if !read.complete {
            continue;
        }
        let shown: HashSet<&str> =
            read.records.iter().map(|record| record.message.as_str()).collect();
        let before = receipts.iter().filter(|receipt| receipt.attempt.ended < read.began);
        let missing = before.filter(|receipt| !shown.contains(&*receipt.attempt.message));
        violations.extend(missing.map(|receipt| Violation::Lost {
            message: receipt.attempt.message.clone(),
            sequence: receipt.sequence,
            seen_in: "a read after its receipt",
        }));
        let earlier = history.reads.iter().filter(|earlier| earlier.ended < read.began);
        let before = earlier.map(|earlier| earlier.records.len()).max().unwrap_or(0);
        if before > read.records.len() {
            violations.push(Violation::Shrunk { before, after: read.records.len() });
        }
    }
    violations
}

fn lookups(history: &History, log: &[Record]) -> Vec<Violation> {
    let by_uuid: HashMap<&str, &Record> =
        log.iter().map(|record| (record.uuid.as_str(), record)).collect();
    let mut acknowledged: HashMap<&str, (Micros, &str, u64)> = HashMap::new();
    for receipt in receipts_of(&history.attempts.iter().collect::<Vec<_>>()) {
        let this = (receipt.attempt.ended, receipt.attempt.message.as_str(), receipt.sequence);
        let first = acknowledged.entry(receipt.uuid).or_insert(this);
        *first = (*first).min(this);
    }
    let mut violations = Vec::new();
    for lookup in &history.lookups {
        match &lookup.found {
            Some(found) if by_uuid.get(&*lookup.uuid) != Some(&found) => {
                violations.push(Violation::NotAPrefix { sequence: found.sequence });
            }
            Some(_) => {}
            None => {
                if let Some((ended, message, sequence)) = acknowledged.get(&*lookup.uuid)
                    && *ended < lookup.began
                {
                    let (message, seen_in) = ((*message).to_owned(), "a lookup after its receipt");
                    violations.push(Violation::Lost { message, sequence: *sequence, seen_in });
                }
            }
        }
    }
    violations
}

fn one_message_a_key(history: &History, log: &[Record]) -> Vec<Violation> {
    let stored: HashSet<&str> = log.iter().map(|record| record.message.as_str()).collect();
    let mut owner: HashMap<&str, &str> = HashMap::new();
    let mut violations = Vec::new();
    for attempt in &history.attempts {
        let Some(key) = &attempt.key else { continue };
        if !stored.contains(&*attempt.message) {
            continue;
        }
        let first = *owner.entry(key).or_insert(&attempt.message);
        if first != attempt.message {
            let messages = [first.to_owned(), attempt.message.clone()];
            violations.push(Violation::KeySharedBy { key: key.clone(), messages });
        }
    }
    violations
}

fn honest(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    for attempt in &history.attempts {
        if let Outcome::Nonsense { answer } = &attempt.outcome {
            let (message, answer) = (attempt.message.clone(), answer.clone());
            violations.push(Violation::Nonsense { message, answer });
        }
    }
    violations
}

fn accounts(account: &Account) -> Option<Violation> {
    let explained = account.acknowledged + account.unknown_stored;
    let stored = account.stored;
    (stored != explained).then_some(Violation::Unaccounted { stored, explained })
}

fn vacuous(account: &Account) -> Option<Violation> {
    let (unknown, absorbed) = (account.unknown, account.absorbed);
    (unknown == 0 || absorbed == 0).then_some(Violation::Vacuous { unknown, absorbed })
}

/// The figures of a run: stored = acknowledged + unknown ones that were stored.
#[must_use]
pub fn account(history: &History, log: &[Record]) -> Account {
    let stored: HashSet<&str> = log.iter().map(|record| record.message.as_str()).collect();
    let mut account =
        Account { attempts: history.attempts.len(), stored: log.len(), ..Account::default() };
    for (message, attempts) in by_message(history) {
        account.messages += 1;
        let mut receipts = 0;
        let mut unknown = 0;
        for attempt in attempts {
            match attempt.outcome {
                Outcome::Acknowledged { .. } => receipts += 1,
                Outcome::NotStored => account.not_stored += 1,
                Outcome::Unknown => unknown += 1,
                Outcome::Conflict => account.conflicts += 1,
                Outcome::Refused => account.refused += 1,
                // A violation of its own.
                Outcome::Nonsense { .. } => {}
            }
        }
        account.unknown += unknown;
        account.uncertain += usize::from(unknown > 0);
        account.resolved += usize::from(unknown > 0 && receipts > 0);
        if receipts > 0 {
            account.acknowledged += 1;
            account.absorbed += receipts - 1;
        } else if unknown > 0 && stored.contains(message) {
            account.unknown_stored += 1;
        } else if unknown > 0 {
            account.unknown_absent += 1;
        }
    }
    account
}
