//! The rules. Each looks at all facts, and says what breaks it.

use std::collections::HashMap;

use super::{
    Account, Judge, Violation,
    facts::{Message, NEVER, NONE, Place},
};
use crate::history::{Healed, Micros, Read};

const FINAL_LOG: &str = "the final log";
const READ: &str = "a read after its receipt";
const LOOKUP: &str = "a lookup after its receipt";

impl Judge {
    /// All of them, rule by rule.
    pub(super) fn violations(&mut self) -> Vec<Violation> {
        let further = self.further_places();
        let mut violations = self.dense();
        violations.extend(self.once());
        violations.extend(self.no_phantom());
        violations.extend(self.intact());
        violations.extend(self.receipts(&further));
        violations.extend(self.replays());
        violations.extend(self.real_time());
        violations.extend(self.prefixes());
        violations.extend(self.missed_by_reads());
        violations.extend(self.shrunk());
        violations.extend(self.lookups(&further));
        violations.extend(self.one_message_a_key());
        violations.append(&mut self.nonsense);
        violations.extend(self.progress());
        violations.extend(self.unresolved());
        violations.extend(accounts(&self.account));
        violations.extend(self.bounded());
        violations.extend(vacuous(&self.account));
        violations
    }

    fn text(&self, message: u32) -> String {
        self.texts.name(message)
    }

    fn of(&self, place: Place) -> &Message {
        &self.messages[place.message as usize]
    }

    /// The places of messages that have more than one, but for their first.
    fn further_places(&self) -> HashMap<u32, Vec<u32>> {
        let mut further: HashMap<u32, Vec<u32>> = HashMap::new();
        for (at, place) in (0..).zip(&self.log) {
            if self.of(*place).place != at {
                further.entry(place.message).or_default().push(at);
            }
        }
        further
    }

    /// Whether the log has exactly this record.
    fn has(&self, record: Place, further: &HashMap<u32, Vec<u32>>) -> bool {
        let first = self.of(record).place;
        let further = further.get(&record.message).into_iter().flatten();
        [first].iter().chain(further).any(|at| self.log.get(*at as usize) == Some(&record))
    }

    fn dense(&self) -> Vec<Violation> {
        let numbered = (1..).zip(&self.log);
        numbered
            .filter(|(expected, place)| place.sequence != *expected)
            .map(|(expected, place)| Violation::Gap { expected, found: place.sequence })
            .collect()
    }

    fn once(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (at, place) in (0..).zip(&self.log) {
            let mut twice = |what: String, first: u32| {
                let sequences = [self.log[first as usize].sequence, place.sequence];
                violations.push(Violation::StoredTwice { what, sequences });
            };
            let message = self.of(*place).place;
            if message != at {
                twice(self.text(place.message), message);
            }
            let id = self.ids[place.uuid as usize].place;
            if id != at {
                twice(self.uuids.name(place.uuid), id);
            }
        }
        violations
    }

    fn no_phantom(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for place in &self.log {
            let message = self.of(*place);
            if message.receipts == 0 && message.unknown == 0 {
                let (message, sequence) = (self.text(place.message), place.sequence);
                violations.push(Violation::Phantom { message, sequence });
            }
        }
        violations
    }

    fn intact(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for place in &self.log {
            let acknowledged = self.ids[place.uuid as usize].messages;
            let other = acknowledged.iter().find(|other| ![NONE, place.message].contains(other));
            if let Some(other) = other {
                violations.push(Violation::Altered {
                    uuid: self.uuids.name(place.uuid),
                    acknowledged: self.text(*other),
                    stored: self.text(place.message),
                });
            }
        }
        violations
    }

    fn receipts(&self, further: &HashMap<u32, Vec<u32>>) -> Vec<Violation> {
        let mut violations = Vec::new();
        let with_receipt = (0..).zip(&self.messages).filter(|(_, message)| message.receipts > 0);
        for (number, message) in with_receipt {
            let text = || self.text(number);
            if message.receipts_differ {
                violations.push(Violation::ReceiptsDiffer { message: text() });
            }
            if message.conflict {
                violations.push(Violation::FalseConflict { message: text() });
            }
            let (sequence, uuid) = (message.sequence, message.uuid);
            if !self.has(Place { sequence, message: number, uuid }, further) {
                let (message, seen_in) = (text(), FINAL_LOG);
                violations.push(Violation::Lost { message, sequence, seen_in });
            }
        }
        violations
    }

    fn replays(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for replay in &self.replays {
            let [first, second] = self.messages[replay.message as usize].invoked;
            let other = if replay.invoked == first { second } else { first };
            if other > replay.ended {
                violations.push(Violation::ReplayOfNothing { message: self.text(replay.message) });
            }
        }
        violations
    }

    fn real_time(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        // Walking backwards: the earliest receipt among all records that come later in the log.
        let mut earliest = (NEVER, NONE);
        for place in self.log.iter().rev() {
            let message = self.of(*place);
            if message.sent() && earliest.0 < message.invoked[0] {
                violations.push(Violation::OutOfOrder {
                    acknowledged: self.text(earliest.1),
                    sent_later: self.text(place.message),
                });
            }
            earliest = earliest.min((message.acknowledged, place.message));
        }
        violations
    }

    fn prefixes(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for read in &self.reads {
            let differs = |(count, chain): &(u64, u32)| {
                let before = usize::try_from(*count).ok().and_then(|count| count.checked_sub(1));
                before.and_then(|before| self.chains.get(before)) != Some(chain)
            };
            if let Some((sequence, _)) = read.shown.marks().find(differs) {
                violations.push(Violation::NotAPrefix { sequence });
            }
        }
        violations
    }

    /// What had a receipt before a whole read began and is not among what it showed. A message is named
    /// once, however many reads miss it.
    fn missed_by_reads(&self) -> Vec<Violation> {
        let mut reads: Vec<&Read> = self.reads.iter().filter(|read| read.complete).collect();
        reads.sort_by_key(|read| read.began);
        // The fewest records that a read from here on showed.
        let mut fewest: Vec<(Micros, u64)> = Vec::with_capacity(reads.len());
        let mut least = u64::MAX;
        for read in reads.iter().rev() {
            least = least.min(read.shown.count());
            fewest.push((read.began, least));
        }
        fewest.reverse();
        let mut violations = Vec::new();
        for (number, message) in (0..).zip(&self.messages) {
            let later = fewest.partition_point(|(began, _)| *began <= message.acknowledged);
            let Some((_, least)) = fewest.get(later) else { continue };
            if message.place == NONE || u64::from(message.place) >= *least {
                let (message, sequence) = (self.text(number), message.sequence);
                violations.push(Violation::Lost { message, sequence, seen_in: READ });
            }
        }
        violations
    }

    fn shrunk(&self) -> Vec<Violation> {
        let mut ended: Vec<(Micros, u64)> =
            self.reads.iter().map(|read| (read.ended, read.shown.count())).collect();
        ended.sort_unstable();
        // The most that was shown by then.
        let mut most = 0;
        for (_, count) in &mut ended {
            most = most.max(*count);
            *count = most;
        }
        let mut violations = Vec::new();
        for read in self.reads.iter().filter(|read| read.complete) {
            let earlier = ended.partition_point(|(ended, _)| *ended < read.began);
            let before = earlier.checked_sub(1).map_or(0, |last| ended[last].1);
            let after = read.shown.count();
            if before > after {
                violations.push(Violation::Shrunk { before, after });
            }
        }
        violations
    }

    fn lookups(&self, further: &HashMap<u32, Vec<u32>>) -> Vec<Violation> {
        let mut violations = Vec::new();
        for lookup in &self.lookups {
            match lookup.found {
                Some(found) if found.uuid != lookup.uuid || !self.has(found, further) => {
                    violations.push(Violation::NotAPrefix { sequence: found.sequence });
                }
                Some(_) => {}
                None => {
                    let id = &self.ids[lookup.uuid as usize];
                    if id.acknowledged < lookup.began {
                        let number = id.messages[0];
                        let sequence = self.messages[number as usize].sequence;
                        let message = self.text(number);
                        violations.push(Violation::Lost { message, sequence, seen_in: LOOKUP });
                    }
                }
            }
        }
        violations
    }

    fn one_message_a_key(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut stored: HashMap<u32, u32> = HashMap::new();
        let mut acknowledged: HashMap<u32, u32> = HashMap::new();
        let first = (0..).zip(&self.messages).map(|(number, message)| (message.key, number));
        let keyed = first.filter(|(key, _)| *key != NONE).chain(self.more_keys.iter().copied());
        for (key, number) in keyed {
            let message = &self.messages[number as usize];
            if message.place != NONE {
                let owner = *stored.entry(key).or_insert(number);
                if owner != number {
                    let (key, messages) = (self.keys.name(key), [owner, number]);
                    let messages = messages.map(|number| self.text(number));
                    violations.push(Violation::KeySharedBy { key, messages });
                }
            }
            if message.receipts > 0 {
                let owner = *acknowledged.entry(key).or_insert(number);
                if owner != number {
                    let (key, messages) = (self.keys.name(key), [owner, number]);
                    let messages = messages.map(|number| self.text(number));
                    violations.push(Violation::ConflictAccepted { key, messages });
                }
            }
        }
        violations
    }

    fn progress(&self) -> Vec<Violation> {
        let stalled =
            self.recoveries.iter().filter(|recovery| recovery.attempted && !recovery.acknowledged);
        stalled
            .map(|recovery| {
                let Healed { at, within } = recovery.healed;
                Violation::Stalled { healed: at, within }
            })
            .collect()
    }

    fn unresolved(&self) -> Vec<Violation> {
        let open =
            |message: &Message| message.retried && message.receipts == 0 && !message.turned_down;
        (0..)
            .zip(&self.messages)
            .filter(|(_, message)| open(message))
            .map(|(number, _)| Violation::Unresolved { message: self.text(number) })
            .collect()
    }

    fn bounded(&self) -> Vec<Violation> {
        let over = self.peaks.iter().filter(|peak| peak.found > peak.cap);
        over.cloned().map(Violation::Unbounded).collect()
    }
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
