//! The facts that the checker keeps of a run: about 200 bytes a message, whatever the number of attempts.

use super::{
    Account, Verdict, Violation,
    names::{Names, Number},
};
use crate::history::{Attempt, Healed, Lookup, Micros, Outcome, Peak, Read, Record, chain};

/// The earliest time at which something happened, if it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Earliest(Micros);

impl Default for Earliest {
    /// Never.
    fn default() -> Self {
        Self(Micros::MAX)
    }
}

impl Earliest {
    pub(super) const fn happened(self) -> bool {
        self.0 != Micros::MAX
    }

    pub(super) const fn is_before(self, at: Micros) -> bool {
        self.0 < at
    }

    /// Whether it happened after `at`, or never.
    pub(super) const fn is_after(self, at: Micros) -> bool {
        self.0 > at
    }

    fn note(&mut self, at: Micros) {
        self.0 = self.0.min(at);
    }
}

/// What a receipt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) uuid: Number,
    pub(super) sequence: u64,
}

/// A message, by its text.
#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    /// When it was first sent.
    pub(super) sent: Earliest,
    /// The two earliest times an attempt was sent that may have stored it.
    pub(super) invoked: [Earliest; 2],
    /// When the first receipt was there.
    pub(super) acknowledged: Earliest,
    /// The receipt that was noted first.
    pub(super) receipt: Option<Receipt>,
    pub(super) receipts: u32,
    pub(super) unknown: u32,
    pub(super) key: Option<Number>,
    /// Its first record in the log.
    pub(super) place: Option<Number>,
    pub(super) receipts_differ: bool,
    pub(super) conflict: bool,
    pub(super) refused: bool,
    /// It was called a conflict or wrong, or the answer makes no sense.
    pub(super) turned_down: bool,
    /// It was sent with a key after the last healing.
    pub(super) retried: bool,
}

impl Message {
    /// Whether an attempt may have stored it.
    pub(super) const fn may_be_stored(&self) -> bool {
        self.invoked[0].happened()
    }

    /// The sequence of its first receipt, or 0.
    pub(super) fn sequence(&self) -> u64 {
        self.receipt.map_or(0, |receipt| receipt.sequence)
    }
}

/// Up to two different messages.
pub(super) type Pair = [Option<Number>; 2];

/// Adds `message` to `pair`, if there is room and it is another one.
pub(super) fn add(pair: &mut Pair, message: Number) {
    match pair {
        [first @ None, _] => *first = Some(message),
        [Some(first), second @ None] if *first != message => *second = Some(message),
        [Some(_), _] => {}
    }
}

/// An id.
#[derive(Debug, Clone, Default)]
pub(super) struct Id {
    /// Messages that have a receipt with it.
    pub(super) messages: Pair,
    /// When the first receipt with it was there.
    pub(super) acknowledged: Earliest,
    /// When a lookup had first found it.
    pub(super) found: Earliest,
    /// Its first record in the log.
    pub(super) place: Option<Number>,
}

/// A record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sequence: u64,
    pub(super) message: Number,
    pub(super) uuid: Number,
}

/// A receipt that says "stored before".
#[derive(Debug, Clone, Copy)]
pub(super) struct Replay {
    pub(super) message: Number,
    pub(super) invoked: Earliest,
    pub(super) ended: Micros,
}

/// A lookup that came to an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct LookedUp {
    pub(super) uuid: Number,
    pub(super) began: Micros,
    pub(super) found: Option<Place>,
}

/// What came after a healing.
#[derive(Debug, Clone)]
pub(super) struct Recovery {
    pub(super) healed: Healed,
    /// Messages with a receipt in time, new ones and others.
    pub(super) acknowledged: Vec<Number>,
}

/// Which records of the log the checker is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// All.
    #[default]
    WholeLog,
    /// Those of the run. Other clients wrote to the log too.
    OwnRecords,
}

/// Collects the facts of a run, and checks them. Healings must be given before attempts; apart from that,
/// and from the order within each kind, facts may come in any order.
#[derive(Debug, Default)]
pub struct Checker {
    pub(super) texts: Names,
    pub(super) uuids: Names,
    pub(super) keys: Names,
    pub(super) messages: Vec<Message>,
    pub(super) ids: Vec<Id>,
    pub(super) log: Vec<Place>,
    /// The checksum over the log up to each of its records.
    pub(super) chains: Vec<u32>,
    /// Keys of messages that were sent with more than one.
    pub(super) more_keys: Vec<(Number, Number)>,
    pub(super) replays: Vec<Replay>,
    /// Messages that were called a conflict, each with its key.
    pub(super) conflicts: Vec<(Number, Option<Number>)>,
    pub(super) reads: Vec<Read>,
    pub(super) lookups: Vec<LookedUp>,
    pub(super) recoveries: Vec<Recovery>,
    pub(super) peaks: Vec<Peak>,
    pub(super) account: Account,
    pub(super) nonsense: Vec<Violation>,
    pub(super) scope: Scope,
}

impl Checker {
    fn message(&mut self, text: &str) -> Number {
        let number = self.texts.number(text);
        if self.messages.len() == number.index() {
            self.messages.push(Message::default());
        }
        number
    }

    fn id(&mut self, uuid: &str) -> Number {
        let number = self.uuids.number(uuid);
        if self.ids.len() == number.index() {
            self.ids.push(Id::default());
        }
        number
    }

    fn place(&mut self, record: &Record) -> Place {
        let (message, uuid) = (self.message(&record.message), self.id(&record.uuid));
        Place { sequence: record.sequence, message, uuid }
    }

    /// A checker without any facts.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }

    /// The faults were over.
    pub fn healed(&mut self, healed: Healed) {
        self.recoveries.push(Recovery { healed, acknowledged: Vec::new() });
    }

    /// A service used that much.
    pub fn peak(&mut self, peak: Peak) {
        self.peaks.push(peak);
    }

    /// The log was read.
    pub fn read(&mut self, read: Read) {
        self.reads.push(read);
    }

    /// A message was looked up.
    pub fn lookup(&mut self, lookup: &Lookup) {
        let uuid = self.id(&lookup.uuid);
        let found = lookup.found.as_ref().map(|found| self.place(found));
        if found.is_some() {
            self.ids[uuid.index()].found.note(lookup.ended);
        }
        self.lookups.push(LookedUp { uuid, began: lookup.began, found });
    }

    /// The next record of the log, as it is in the end.
    pub fn record(&mut self, record: &Record) {
        let place = self.place(record);
        let number = Number::new(self.log.len());
        self.messages[place.message.index()].place.get_or_insert(number);
        self.ids[place.uuid.index()].place.get_or_insert(number);
        self.chains.push(chain(self.chains.last().copied().unwrap_or(0), record));
        self.log.push(place);
    }

    /// Something was sent.
    pub fn attempt(&mut self, attempt: &Attempt) {
        let number = self.message(&attempt.message);
        let last_healing = self.recoveries.iter().map(|recovery| recovery.healed.at).max();
        if let Some(key) = &attempt.key {
            self.keyed(key, number);
            let message = &mut self.messages[number.index()];
            message.retried |= last_healing.is_some_and(|at| attempt.invoked >= at);
        }
        for recovery in &mut self.recoveries {
            let Healed { at, within } = recovery.healed;
            if attempt.outcome.is_receipt()
                && attempt.invoked >= at
                && attempt.ended <= at.saturating_add(within)
            {
                recovery.acknowledged.push(number);
            }
        }
        let message = &mut self.messages[number.index()];
        message.sent.note(attempt.invoked);
        if matches!(attempt.outcome, Outcome::Acknowledged { .. } | Outcome::Unknown) {
            let [first, second] = &mut message.invoked;
            if first.is_after(attempt.invoked) {
                *second = std::mem::replace(first, Earliest(attempt.invoked));
            } else {
                second.note(attempt.invoked);
            }
        }
        self.outcome(number, attempt);
    }

    fn keyed(&mut self, key: &str, message: Number) {
        let key = self.keys.number(key);
        if *self.messages[message.index()].key.get_or_insert(key) != key {
            self.more_keys.push((key, message));
        }
    }

    fn outcome(&mut self, number: Number, attempt: &Attempt) {
        self.account.attempts += 1;
        let message = &mut self.messages[number.index()];
        match &attempt.outcome {
            Outcome::Acknowledged { uuid, sequence, replayed } => {
                if *replayed {
                    let (invoked, ended) = (Earliest(attempt.invoked), attempt.ended);
                    self.replays.push(Replay { message: number, invoked, ended });
                }
                self.receipt(number, uuid, *sequence, attempt.ended);
            }
            Outcome::Unknown => {
                self.account.unknown += 1;
                message.unknown += 1;
            }
            Outcome::NotStored => self.account.not_stored += 1,
            Outcome::Conflict => {
                self.account.conflicts += 1;
                (message.conflict, message.turned_down) = (true, true);
                let key = attempt.key.as_ref().map(|key| self.keys.number(key));
                self.conflicts.push((number, key));
            }
            Outcome::Refused => {
                self.account.refused += 1;
                (message.refused, message.turned_down) = (true, true);
            }
            Outcome::Nonsense { answer } => {
                message.turned_down = true;
                let (message, answer) = (attempt.message.clone(), answer.clone());
                self.nonsense.push(Violation::Nonsense { message, answer });
            }
        }
    }

    fn receipt(&mut self, number: Number, uuid: &str, sequence: u64, ended: Micros) {
        let uuid = self.id(uuid);
        let message = &mut self.messages[number.index()];
        let receipt = Receipt { uuid, sequence };
        message.receipts_differ |= *message.receipt.get_or_insert(receipt) != receipt;
        message.receipts += 1;
        message.acknowledged.note(ended);
        let id = &mut self.ids[uuid.index()];
        id.acknowledged.note(ended);
        add(&mut id.messages, number);
    }

    /// What is wrong, and the figures.
    #[must_use]
    pub fn verdict(mut self) -> Verdict {
        self.count();
        let violations = self.violations();
        Verdict { account: self.account, violations }
    }

    fn count(&mut self) {
        let account = &mut self.account;
        account.stored = self.log.len();
        for message in self.messages.iter().filter(|message| message.sent.happened()) {
            account.messages += 1;
            let (unknown, receipts) = (message.unknown > 0, message.receipts as usize);
            account.uncertain += usize::from(unknown);
            account.resolved += usize::from(unknown && receipts > 0);
            if receipts > 0 {
                account.acknowledged += 1;
                account.absorbed += receipts - 1;
            } else if unknown && message.place.is_some() {
                account.unknown_stored += 1;
            } else if unknown {
                account.unknown_absent += 1;
            }
        }
    }
}
