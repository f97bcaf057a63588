//! The rules. Each looks at all facts, and says what breaks it.

use std::collections::{BTreeSet, HashMap};

use super::{
    Account, Checker, Violation,
    facts::{Earliest, Message, Pair, Place, Receipt, Scope, add},
    names::Number,
};
use crate::history::{Healed, Micros, Read};

const FINAL_LOG: &str = "the final log";
const READ: &str = "a read after its receipt";
const LOOKUP: &str = "a lookup after its receipt";

/// By message.
type FurtherPlaces = HashMap<Number, Vec<Number>>;

impl Checker {
    /// All of them, rule by rule.
    pub(super) fn violations(&mut self) -> Vec<Violation> {
        let further = self.further_places();
        let mut violations = Vec::new();
        self.dense(&mut violations);
        self.once(&mut violations);
        self.no_phantom(&mut violations);
        self.intact(&mut violations);
        self.receipts(&further, &mut violations);
        self.replays(&mut violations);
        self.real_time(&mut violations);
        self.prefixes(&mut violations);
        self.missed_by_reads(&mut violations);
        self.shrunk(&mut violations);
        self.lookups(&further, &mut violations);
        violations.extend(self.vanished());
        self.one_message_a_key(&mut violations);
        self.conflicts_without_an_owner(&mut violations);
        violations.append(&mut self.nonsense);
        violations.extend(self.progress());
        violations.extend(self.unresolved());
        violations.extend(accounts(&self.account));
        violations.extend(self.bounded());
        violations.extend(vacuous(&self.account, self.scope));
        violations
    }

    fn text(&self, message: Number) -> String {
        self.texts.name(message)
    }

    fn of(&self, place: Place) -> &Message {
        &self.messages[place.message.index()]
    }

    /// The records of messages that have more than one, but for their first.
    fn further_places(&self) -> FurtherPlaces {
        let mut further = FurtherPlaces::new();
        for (at, place) in Number::of_each(&self.log) {
            if self.of(*place).place != Some(at) {
                further.entry(place.message).or_default().push(at);
            }
        }
        further
    }

    /// Whether the log has exactly this record.
    fn has(&self, record: Place, further: &FurtherPlaces) -> bool {
        let further = further.get(&record.message).into_iter().flatten();
        self.of(record).place.iter().chain(further).any(|at| self.log[at.index()] == record)
    }

    fn dense(&self, broken: &mut Vec<Violation>) {
        let mut expected = 1;
        for Place { sequence: found, .. } in &self.log {
            if *found < expected || (*found > expected && self.scope == Scope::WholeLog) {
                broken.push(Violation::Gap { expected, found: *found });
            }
            expected = match self.scope {
                Scope::WholeLog => expected + 1,
                Scope::OwnRecords => found.saturating_add(1),
            };
        }
    }

    fn once(&self, broken: &mut Vec<Violation>) {
        for (at, place) in Number::of_each(&self.log) {
            let earlier = |first: Option<Number>| first.filter(|first| *first != at);
            let mut twice = |what: String, first: Number| {
                let sequences = [self.log[first.index()].sequence, place.sequence];
                broken.push(Violation::StoredTwice { what, sequences });
            };
            if let Some(first) = earlier(self.of(*place).place) {
                twice(self.text(place.message), first);
            }
            if let Some(first) = earlier(self.ids[place.uuid.index()].place) {
                twice(self.uuids.name(place.uuid), first);
            }
        }
    }

    fn no_phantom(&self, broken: &mut Vec<Violation>) {
        for place in &self.log {
            let message = self.of(*place);
            if !message.may_be_stored() {
                let (message, sequence) = (self.text(place.message), place.sequence);
                broken.push(Violation::Phantom { message, sequence });
            }
        }
    }

    fn intact(&self, broken: &mut Vec<Violation>) {
        for place in &self.log {
            let acknowledged = self.ids[place.uuid.index()].messages;
            let mut acknowledged = acknowledged.into_iter().flatten();
            if let Some(other) = acknowledged.find(|other| *other != place.message) {
                broken.push(Violation::Altered {
                    uuid: self.uuids.name(place.uuid),
                    acknowledged: self.text(other),
                    stored: self.text(place.message),
                });
            }
        }
    }

    fn receipts(&self, further: &FurtherPlaces, broken: &mut Vec<Violation>) {
        for (number, message) in Number::of_each(&self.messages) {
            let Some(Receipt { uuid, sequence }) = message.receipt else { continue };
            let text = || self.text(number);
            if message.receipts_differ {
                broken.push(Violation::ReceiptsDiffer { message: text() });
            }
            if message.conflict {
                broken.push(Violation::FalseConflict { message: text() });
            }
            if message.refused {
                broken.push(Violation::FalseRefusal { message: text() });
            }
            if !self.has(Place { sequence, message: number, uuid }, further) {
                let (message, seen_in) = (text(), FINAL_LOG);
                broken.push(Violation::Lost { message, sequence, seen_in });
            }
        }
    }

    fn replays(&self, broken: &mut Vec<Violation>) {
        for replay in &self.replays {
            let [first, second] = self.messages[replay.message.index()].invoked;
            let other = if first == replay.invoked { second } else { first };
            if other.is_after(replay.ended) {
                broken.push(Violation::ReplayOfNothing { message: self.text(replay.message) });
            }
        }
    }

    fn real_time(&self, broken: &mut Vec<Violation>) {
        // Walking backwards: the earliest receipt among all records that come later in the log.
        let mut earliest = (Earliest::default(), None);
        for place in self.log.iter().rev() {
            let message = self.of(*place);
            if let (at, Some(acknowledged)) = earliest
                && message.may_be_stored()
                && at < message.invoked[0]
            {
                broken.push(Violation::OutOfOrder {
                    acknowledged: self.text(acknowledged),
                    sent_later: self.text(place.message),
                });
            }
            earliest = earliest.min((message.acknowledged, Some(place.message)));
        }
    }

    fn prefixes(&self, broken: &mut Vec<Violation>) {
        for read in &self.reads {
            let differs = |(count, chain): &(u64, u32)| {
                let before = usize::try_from(*count).ok().and_then(|count| count.checked_sub(1));
                before.and_then(|before| self.chains.get(before)) != Some(chain)
            };
            if let Some((sequence, _)) = read.shown.marks().find(differs) {
                broken.push(Violation::NotAPrefix { sequence });
            }
        }
    }

    /// What had a receipt before a whole read began and is not among what it showed. A message is named
    /// once, however many reads miss it.
    fn missed_by_reads(&self, broken: &mut Vec<Violation>) {
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
        for (number, message) in Number::of_each(&self.messages) {
            let is_later = |began: Micros| message.acknowledged.is_before(began);
            let later = fewest.partition_point(|(began, _)| !is_later(*began));
            let Some((_, least)) = fewest.get(later) else { continue };
            if message.place.is_none_or(|place| place.index() as u64 >= *least) {
                let (message, sequence) = (self.text(number), message.sequence());
                broken.push(Violation::Lost { message, sequence, seen_in: READ });
            }
        }
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

    fn shrunk(&self, broken: &mut Vec<Violation>) {
        let shown = self.most_shown();
        for read in self.reads.iter().filter(|read| read.complete) {
            let before = before(&shown, read.began);
            let after = read.shown.count();
            if before > after {
                broken.push(Violation::Shrunk { before, after });
            }
        }
    }

    fn lookups(&self, further: &FurtherPlaces, broken: &mut Vec<Violation>) {
        for lookup in &self.lookups {
            match lookup.found {
                Some(found) if found.uuid != lookup.uuid || !self.has(found, further) => {
                    broken.push(Violation::NotAPrefix { sequence: found.sequence });
                }
                Some(_) => {}
                None => {
                    let id = &self.ids[lookup.uuid.index()];
                    if let [Some(number), _] = id.messages
                        && id.acknowledged.is_before(lookup.began)
                    {
                        let sequence = self.messages[number.index()].sequence();
                        let message = self.text(number);
                        broken.push(Violation::Lost { message, sequence, seen_in: LOOKUP });
                    }
                }
            }
        }
    }

    /// What a lookup or a read had found, and a later one of the other kind, or a later lookup, does not.
    fn vanished(&self) -> Vec<Violation> {
        let shown = self.most_shown();
        let place = |uuid: Number| self.ids[uuid.index()].place.map(|place| place.index() as u64);
        let missing = self.lookups.iter().filter(|lookup| lookup.found.is_none());
        let missing = missing.filter(|lookup| {
            let was_read = place(lookup.uuid) < Some(before(&shown, lookup.began));
            let found = self.ids[lookup.uuid.index()].found;
            found.is_before(lookup.began) || was_read && place(lookup.uuid).is_some()
        });
        let mut vanished: BTreeSet<Number> = missing.map(|lookup| lookup.uuid).collect();
        for read in self.reads.iter().filter(|read| read.complete) {
            let found = self.lookups.iter().filter(|lookup| {
                self.ids[lookup.uuid.index()].found.is_before(read.began)
                    && place(lookup.uuid) >= Some(read.shown.count())
            });
            vanished.extend(found.map(|lookup| lookup.uuid));
        }
        let violation = |uuid| Violation::Vanished { uuid: self.uuids.name(uuid) };
        vanished.into_iter().map(violation).collect()
    }

    /// Each key with each message that was sent with it.
    fn messages_by_key(&self) -> impl Iterator<Item = (Number, Number)> {
        let first = Number::of_each(&self.messages)
            .filter_map(|(number, message)| Some((message.key?, number)));
        first.chain(self.more_keys.iter().copied())
    }

    fn one_message_a_key(&self, broken: &mut Vec<Violation>) {
        let (mut stored, mut acknowledged) = (HashMap::new(), HashMap::new());
        for (key, number) in self.messages_by_key() {
            let message = &self.messages[number.index()];
            let other = |owners: &mut HashMap<Number, Number>| {
                let owner = *owners.entry(key).or_insert(number);
                let named = || (self.keys.name(key), [owner, number].map(|it| self.text(it)));
                (owner != number).then(named)
            };
            if message.place.is_some()
                && let Some((key, messages)) = other(&mut stored)
            {
                broken.push(Violation::KeySharedBy { key, messages });
            }
            if message.receipt.is_some()
                && let Some((key, messages)) = other(&mut acknowledged)
            {
                broken.push(Violation::ConflictAccepted { key, messages });
            }
        }
    }

    /// Messages without a receipt that were called a conflict, though no other one may be stored under
    /// their key, or has it for an id.
    fn conflicts_without_an_owner(&self, broken: &mut Vec<Violation>) {
        // Of each key in question, two messages that may be stored.
        let mut owners: HashMap<Number, Pair> = HashMap::new();
        let keys = self.conflicts.iter().filter_map(|(_, key)| *key);
        owners.extend(keys.map(|key| (key, Pair::default())));
        for (key, number) in self.messages_by_key() {
            if let Some(pair) = owners.get_mut(&key)
                && self.messages[number.index()].may_be_stored()
            {
                add(pair, number);
            }
        }
        for (number, key) in &self.conflicts {
            let with_key = key.and_then(|key| owners.get(&key).copied()).unwrap_or_default();
            let id = key.and_then(|key| self.uuids.find(&self.keys.name(key)));
            let with_id = id.map(|id| self.ids[id.index()].messages).unwrap_or_default();
            let mut others = with_key.into_iter().chain(with_id).flatten();
            let has_owner = others.any(|other| other != *number);
            if !has_owner && self.messages[number.index()].receipt.is_none() {
                broken.push(Violation::FalseConflict { message: self.text(*number) });
            }
        }
    }

    fn progress(&self) -> Vec<Violation> {
        let stalled = self.recoveries.iter().filter(|recovery| {
            let at = recovery.healed.at;
            let is_new = |message: &Message| message.sent.happened() && !message.sent.is_before(at);
            let mut stored = recovery.acknowledged.iter();
            self.messages.iter().any(is_new)
                && !stored.any(|number| is_new(&self.messages[number.index()]))
        });
        stalled
            .map(|recovery| {
                let Healed { at, within } = recovery.healed;
                Violation::Stalled { healed: at, within }
            })
            .collect()
    }

    fn unresolved(&self) -> Vec<Violation> {
        let open = |message: &Message| {
            message.retried && message.receipt.is_none() && !message.turned_down
        };
        Number::of_each(&self.messages)
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

fn vacuous(account: &Account, scope: Scope) -> Option<Violation> {
    let (unknown, absorbed) = (account.unknown, account.absorbed);
    ((unknown == 0 && scope == Scope::WholeLog) || absorbed == 0)
        .then_some(Violation::Vacuous { unknown, absorbed })
}
