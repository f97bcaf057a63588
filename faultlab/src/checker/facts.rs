//! What the checker keeps of a run: about 200 bytes a message, whatever it is told.

use super::{Account, Verdict, Violation, names::Names};
use crate::history::{Attempt, Healed, Lookup, Micros, Outcome, Peak, Read, Record, chain};

/// In place of a number: there is none.
pub(super) const NONE: u32 = u32::MAX;

/// In place of a time: never.
pub(super) const NEVER: Micros = Micros::MAX;

/// A message, by its text.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// When it was first sent.
    pub(super) sent: Micros,
    /// The two earliest times an attempt was sent that may have stored it.
    pub(super) invoked: [Micros; 2],
    /// When the first receipt was there.
    pub(super) acknowledged: Micros,
    /// What the receipt says that was noted first: the number of the id, and the place.
    pub(super) uuid: u32,
    pub(super) sequence: u64,
    pub(super) receipts: u32,
    pub(super) unknown: u32,
    /// The number of its key.
    pub(super) key: u32,
    /// Its first place in the log, from 0.
    pub(super) place: u32,
    pub(super) receipts_differ: bool,
    pub(super) conflict: bool,
    pub(super) refused: bool,
    /// It was called a conflict or wrong, or the answer makes no sense.
    pub(super) turned_down: bool,
    /// It was sent with a key after the last healing.
    pub(super) retried: bool,
}

impl Message {
    const fn new() -> Self {
        Self {
            sent: NEVER,
            invoked: [NEVER; 2],
            acknowledged: NEVER,
            uuid: NONE,
            sequence: 0,
            receipts: 0,
            unknown: 0,
            key: NONE,
            place: NONE,
            receipts_differ: false,
            conflict: false,
            refused: false,
            turned_down: false,
            retried: false,
        }
    }

    /// Whether anybody sent it.
    pub(super) const fn was_sent(&self) -> bool {
        self.sent != NEVER
    }

    /// Whether an attempt may have stored it.
    pub(super) const fn may_be_stored(&self) -> bool {
        self.invoked[0] != NEVER
    }
}

/// An id.
#[derive(Debug, Clone)]
pub(super) struct Id {
    /// The first two messages that have a receipt with it.
    pub(super) messages: [u32; 2],
    /// When the first receipt with it was there.
    pub(super) acknowledged: Micros,
    /// When a lookup had first found it.
    pub(super) found: Micros,
    /// Its first place in the log, from 0.
    pub(super) place: u32,
}

/// A record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sequence: u64,
    pub(super) message: u32,
    pub(super) uuid: u32,
}

/// A receipt that says "stored before".
#[derive(Debug, Clone, Copy)]
pub(super) struct Replay {
    pub(super) message: u32,
    pub(super) invoked: Micros,
    pub(super) ended: Micros,
}

/// A lookup that came to an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct LookedUp {
    pub(super) uuid: u32,
    pub(super) began: Micros,
    pub(super) found: Option<Place>,
}

/// What came after a healing.
#[derive(Debug, Clone)]
pub(super) struct Recovery {
    pub(super) healed: Healed,
    /// Messages with a receipt in time, new ones and others.
    pub(super) acknowledged: Vec<u32>,
}

/// Is told all of a run, and checks it. Healings come before attempts; apart from that, and from the order
/// within each kind, it may be told in any order.
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
    pub(super) more_keys: Vec<(u32, u32)>,
    pub(super) replays: Vec<Replay>,
    /// Messages that were called a conflict, each with the key or [`NONE`].
    pub(super) conflicts: Vec<(u32, u32)>,
    pub(super) reads: Vec<Read>,
    pub(super) lookups: Vec<LookedUp>,
    pub(super) recoveries: Vec<Recovery>,
    pub(super) peaks: Vec<Peak>,
    pub(super) account: Account,
    pub(super) nonsense: Vec<Violation>,
    /// Whether the log has other records, too.
    pub(super) part: bool,
}

impl Checker {
    fn message(&mut self, text: &str) -> u32 {
        let number = self.texts.number(text);
        if self.messages.len() == number as usize {
            self.messages.push(Message::new());
        }
        number
    }

    fn id(&mut self, uuid: &str) -> u32 {
        let number = self.uuids.number(uuid);
        if self.ids.len() == number as usize {
            self.ids.push(Id {
                messages: [NONE; 2],
                acknowledged: NEVER,
                found: NEVER,
                place: NONE,
            });
        }
        number
    }

    fn place(&mut self, record: &Record) -> Place {
        let (message, uuid) = (self.message(&record.message), self.id(&record.uuid));
        Place { sequence: record.sequence, message, uuid }
    }

    /// The log has other records, too, which it is not told.
    pub const fn of_a_part(mut self) -> Self {
        self.part = true;
        self
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
            let id = &mut self.ids[uuid as usize];
            id.found = id.found.min(lookup.ended);
        }
        self.lookups.push(LookedUp { uuid, began: lookup.began, found });
    }

    /// The next record of the log, as it is in the end.
    pub fn record(&mut self, record: &Record) {
        let place = self.place(record);
        // There is no number for more, and no room either.
        let at = u32::try_from(self.log.len()).unwrap_or(NONE);
        let message = &mut self.messages[place.message as usize];
        message.place = message.place.min(at);
        let id = &mut self.ids[place.uuid as usize];
        id.place = id.place.min(at);
        self.chains.push(chain(self.chains.last().copied().unwrap_or(0), record));
        self.log.push(place);
    }

    /// Something was sent.
    pub fn attempt(&mut self, attempt: &Attempt) {
        let number = self.message(&attempt.message);
        let last_healing = self.recoveries.iter().map(|recovery| recovery.healed.at).max();
        if let Some(key) = &attempt.key {
            self.keyed(key, number);
            let message = &mut self.messages[number as usize];
            message.retried |= last_healing.is_some_and(|at| attempt.invoked >= at);
        }
        for recovery in &mut self.recoveries {
            let Healed { at, within } = recovery.healed;
            let receipt = matches!(attempt.outcome, Outcome::Acknowledged { .. });
            if receipt && attempt.invoked >= at && attempt.ended <= at.saturating_add(within) {
                recovery.acknowledged.push(number);
            }
        }
        let message = &mut self.messages[number as usize];
        message.sent = message.sent.min(attempt.invoked);
        if matches!(attempt.outcome, Outcome::Acknowledged { .. } | Outcome::Unknown) {
            let [first, second] = &mut message.invoked;
            if attempt.invoked < *first {
                *second = std::mem::replace(first, attempt.invoked);
            } else {
                *second = attempt.invoked.min(*second);
            }
        }
        self.outcome(number, attempt);
    }

    fn keyed(&mut self, key: &str, message: u32) {
        let key = self.keys.number(key);
        let known = &mut self.messages[message as usize].key;
        if *known == NONE {
            *known = key;
        } else if *known != key {
            self.more_keys.push((key, message));
        }
    }

    fn outcome(&mut self, number: u32, attempt: &Attempt) {
        self.account.attempts += 1;
        let message = &mut self.messages[number as usize];
        match &attempt.outcome {
            Outcome::Acknowledged { uuid, sequence, replayed } => {
                if *replayed {
                    let Attempt { invoked, ended, .. } = *attempt;
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
                let key = attempt.key.as_ref().map_or(NONE, |key| self.keys.number(key));
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

    fn receipt(&mut self, number: u32, uuid: &str, sequence: u64, ended: Micros) {
        let uuid = self.id(uuid);
        let message = &mut self.messages[number as usize];
        if message.receipts == 0 {
            (message.uuid, message.sequence) = (uuid, sequence);
        }
        message.receipts_differ |= (message.uuid, message.sequence) != (uuid, sequence);
        message.receipts += 1;
        message.acknowledged = message.acknowledged.min(ended);
        let id = &mut self.ids[uuid as usize];
        id.acknowledged = id.acknowledged.min(ended);
        let [first, second] = &mut id.messages;
        if *first == NONE {
            *first = number;
        } else if *first != number && *second == NONE {
            *second = number;
        }
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
        for message in self.messages.iter().filter(|message| message.was_sent()) {
            account.messages += 1;
            let (unknown, receipts) = (message.unknown > 0, message.receipts as usize);
            account.uncertain += usize::from(unknown);
            account.resolved += usize::from(unknown && receipts > 0);
            if receipts > 0 {
                account.acknowledged += 1;
                account.absorbed += receipts - 1;
            } else if unknown && message.place != NONE {
                account.unknown_stored += 1;
            } else if unknown {
                account.unknown_absent += 1;
            }
        }
    }
}
