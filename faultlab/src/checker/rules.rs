//! The rules. Each looks at all facts, and says what breaks it.

use std::collections::{BTreeSet, HashMap};

use super::{
    Account, Checker, Violation,
    facts::{Message, NEVER, NONE, Place},
};
use crate::history::{Healed, Micros, Read};

const FINAL_LOG: &str = "the final log";
const READ: &str = "a read after its receipt";
const LOOKUP: &str = "a lookup after its receipt";

impl Checker {
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
        violations.extend(self.vanished());
        violations.extend(self.one_message_a_key());
        violations.extend(self.conflicts_with_nobody());
        violations.append(&mut self.nonsense);
        violations.extend(self.progress());
        violations.extend(self.unresolved());
        violations.extend(accounts(&self.account));
        violations.extend(self.bounded());
        violations.extend(vacuous(&self.account, self.part));
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
        let mut violations = Vec::new();
        let mut expected = 1;
        for Place { sequence: found, .. } in &self.log {
            if *found < expected || (*found > expected && !self.part) {
                violations.push(Violation::Gap { expected, found: *found });
            }
            expected = if self.part { found.saturating_add(1) } else { expected + 1 };
        }
        violations
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
            if !message.may_be_stored() {
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
            if message.refused {
                violations.push(Violation::FalseRefusal { message: text() });
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
            if message.may_be_stored() && earliest.0 < message.invoked[0] {
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

    /// The ends of reads, in order, each with the most that was shown by then.
    fn most_shown(&self) -> Vec<(Micros, u64)> {
        let mut ended: Vec<(Micros, u64)> =
            self.reads.iter().map(|read| (read.ended, read.shown.count())).collect();
        ended.sort_unstable();
        let mut most = 0;
        for (_, count) in &mut ended {
            most = most.max(*count);
            *count = most;
        }
        ended
    }

    fn shrunk(&self) -> Vec<Violation> {
        let shown = self.most_shown();
        let mut violations = Vec::new();
        for read in self.reads.iter().filter(|read| read.complete) {
            let before = before(&shown, read.began);
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

    /// What a lookup or a read had found, and a later one of the other kind, or a later lookup, does not.
    fn vanished(&self) -> Vec<Violation> {
        let shown = self.most_shown();
        let place = |uuid: u32| match self.ids[uuid as usize].place {
            NONE => None,
            place => Some(u64::from(place)),
        };
        let missing = self.lookups.iter().filter(|lookup| lookup.found.is_none());
        let missing = missing.filter(|lookup| {
            let was_read = place(lookup.uuid) < Some(before(&shown, lookup.began));
            let found = self.ids[lookup.uuid as usize].found;
            found < lookup.began || was_read && place(lookup.uuid).is_some()
        });
        let mut vanished: BTreeSet<u32> = missing.map(|lookup| lookup.uuid).collect();
        for read in self.reads.iter().filter(|read| read.complete) {
            let found = self.lookups.iter().filter(|lookup| {
                self.ids[lookup.uuid as usize].found < read.began
                    && place(lookup.uuid) >= Some(read.shown.count())
            });
            vanished.extend(found.map(|lookup| lookup.uuid));
        }
        let violation = |uuid| Violation::Vanished { uuid: self.uuids.name(uuid) };
        vanished.into_iter().map(violation).collect()
    }

    /// Each key with each message that was sent with it.
    fn messages_by_key(&self) -> impl Iterator<Item = (u32, u32)> {
        let first = (0..).zip(&self.messages).map(|(number, message)| (message.key, number));
        first.filter(|(key, _)| *key != NONE).chain(self.more_keys.iter().copied())
    }

    fn one_message_a_key(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut stored: HashMap<u32, u32> = HashMap::new();
        let mut acknowledged: HashMap<u32, u32> = HashMap::new();
        for (key, number) in self.messages_by_key() {
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

    /// Messages without a receipt that were called a conflict, though no other one may be stored under
    /// their key, or has it for an id.
    fn conflicts_with_nobody(&self) -> Vec<Violation> {
        // Of each key in question, two messages that may be stored.
        let mut owners: HashMap<u32, [u32; 2]> = HashMap::new();
        owners.extend(self.conflicts.iter().map(|(_, key)| (*key, [NONE; 2])));
        for (key, number) in self.messages_by_key() {
            let may_own = self.messages[number as usize].may_be_stored();
            match owners.get_mut(&key) {
                Some([first, _]) if may_own && *first == NONE => *first = number,
                Some([first, second]) if may_own && *first != number => *second = number,
                Some(_) | None => {}
            }
        }
        let mut violations = Vec::new();
        for (number, key) in &self.conflicts {
            let id = (*key != NONE).then(|| self.uuids.find(&self.keys.name(*key))).flatten();
            let with_id = id.map_or([NONE; 2], |id| self.ids[id as usize].messages);
            let mut others = owners[key].into_iter().chain(with_id);
            let has_owner = others.any(|other| ![NONE, *number].contains(&other));
            if !has_owner && self.messages[*number as usize].receipts == 0 {
                violations.push(Violation::FalseConflict { message: self.text(*number) });
            }
        }
        violations
    }

    fn progress(&self) -> Vec<Violation> {
        let stalled = self.recoveries.iter().filter(|recovery| {
            let at = recovery.healed.at;
            let is_new = |message: &Message| message.was_sent() && message.sent >= at;
            let mut stored = recovery.acknowledged.iter();
            self.messages.iter().any(is_new)
                && !stored.any(|number| is_new(&self.messages[*number as usize]))
        });
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

/// The most that was `shown` by reads that ended before `began`.
fn before(shown: &[(Micros, u64)], began: Micros) -> u64 {
    let earlier = shown.partition_point(|(ended, _)| *ended < began);
    earlier.checked_sub(1).map_or(0, |last| shown[last].1)
}

fn accounts(account: &Account) -> Option<Violation> {
    let explained = account.acknowledged + account.unknown_stored;
    let stored = account.stored;
    (stored != explained).then_some(Violation::Unaccounted { stored, explained })
}

fn vacuous(account: &Account, part: bool) -> Option<Violation> {
    let (unknown, absorbed) = (account.unknown, account.absorbed);
    ((unknown == 0 && !part) || absorbed == 0).then_some(Violation::Vacuous { unknown, absorbed })
}
