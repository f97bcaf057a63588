//! One id, one message: what becomes of each proposal.

use std::collections::{HashMap, hash_map::Entry};

use oncelog::message::{Message, MessageId, Outcome, Receipt, Rejection};

/// What is stored under the id of a proposal, compared with the proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Nothing.
    Absent,
    /// The same message.
    Same(Receipt),
    /// The same message, stored by an earlier attempt of the very call that proposes it.
    Landed(Receipt),
    /// Another message.
    Different,
    /// A record that cannot be read now, and why.
    Unreadable(String),
    /// A record that is not what was written, and where.
    Damaged(String),
}

impl Fact {
    /// The outcome of the proposal; `None` if nothing is stored under its id.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Absent => None,
            Self::Same(receipt) => Some(Outcome::Duplicate(receipt)),
            Self::Landed(receipt) => Some(Outcome::Stored(receipt)),
            Self::Different => Some(Outcome::Conflict),
            Self::Unreadable(reason) => Some(Outcome::Rejected(Rejection::Unreadable(reason))),
            Self::Damaged(reason) => Some(Outcome::Rejected(Rejection::Damaged(reason))),
        }
    }
}

/// What was decided about one proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// New: the nth record to append.
    New(usize),
    /// The same message as the nth record to append: answered by the same commit.
    RepeatsNew(usize),
    /// Another message with the id of the nth record to append: a conflict, once that is stored.
    ConflictsWithNew(usize),
    /// Answered by what is stored already.
    Known(Outcome),
}

/// One decision for each proposal, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisions {
    /// The decisions.
    pub decisions: Vec<Decision>,
    /// How many of them are [`Decision::New`].
    pub new: usize,
}

/// What became of the records that a decision appends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// They are durable; the first has this receipt, and the others follow without a gap.
    Stored(Receipt),
    /// Surely none is stored.
    Refused(Rejection),
    /// All are stored or none, and it is not known which.
    Unknown,
}

/// The function that decides, and the memory it works in. That is reused from one group to the next, and
/// nothing in it outlives a decision.
#[derive(Debug, Default)]
pub struct Rules {
    /// For each id to append: the index of its proposal, and the number of its record.
    new: HashMap<MessageId, (usize, usize)>,
}

impl Rules {
    /// Decides about `proposals` together, given one fact about each. Those that are [`Decision::New`] are
    /// the records to append, in order, as one batch.
    ///
    /// # Panics
    /// If there is not one fact for each proposal.
    pub fn decide(&mut self, proposals: &[Message], facts: Vec<Fact>) -> Decisions {
        assert_eq!(facts.len(), proposals.len(), "one fact for each proposal");
        self.new.clear();
        let facts = facts.into_iter().enumerate();
        let decisions =
            facts.map(|(index, fact)| self.decide_one(proposals, index, fact)).collect();
        Decisions { decisions, new: self.new.len() }
    }

    fn decide_one(&mut self, proposals: &[Message], index: usize, fact: Fact) -> Decision {
        if let Some(outcome) = fact.outcome() {
            return Decision::Known(outcome);
        }
        let nth = self.new.len();
        let proposal = &proposals[index];
        match self.new.entry(proposal.id) {
            Entry::Vacant(entry) => {
                entry.insert((index, nth));
                Decision::New(nth)
            }
            Entry::Occupied(entry) => {
                let (first, nth) = *entry.get();
                if proposals[first] == *proposal {
                    Decision::RepeatsNew(nth)
                } else {
                    Decision::ConflictsWithNew(nth)
                }
            }
        }
    }
}

impl Decision {
    /// The outcome, given what became of the records to append; `None` if it is not known.
    pub fn outcome(self, fate: &Fate) -> Option<Outcome> {
        let (nth, of_receipt): (_, fn(Receipt) -> Outcome) = match self {
            Self::Known(outcome) => return Some(outcome),
            Self::New(nth) => (nth, Outcome::Stored),
            Self::RepeatsNew(nth) => (nth, Outcome::Duplicate),
            Self::ConflictsWithNew(nth) => (nth, |_| Outcome::Conflict),
        };
        match fate {
            Fate::Stored(first) => {
                Some(of_receipt(Receipt { sequence: first.sequence + nth as u64, ..*first }))
            }
            Fate::Refused(rejection) => Some(Outcome::Rejected(rejection.clone())),
            Fate::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::testing;

    fn message(id: u8, body: &'static str) -> Message {
        Message { id: MessageId::try_from([id; 16]).unwrap(), ..testing::message(body) }
    }

    fn receipt(sequence: u64) -> Receipt {
        Receipt { sequence, stored_at: SystemTime::UNIX_EPOCH }
    }

    #[test]
    fn each_fact_has_its_outcome() {
        let proposals: Vec<_> = (1..=6).map(|id| message(id, "a")).collect();
        let facts = vec![
            Fact::Same(receipt(7)),
            Fact::Landed(receipt(8)),
            Fact::Different,
            Fact::Unreadable("why".to_owned()),
            Fact::Damaged("where".to_owned()),
            Fact::Absent,
        ];
        let decided = Rules::default().decide(&proposals, facts);
        assert_eq!(decided.new, 1);
        let outcomes = decided.decisions.into_iter().map(|one| one.outcome(&Fate::Unknown));
        let unreadable = Outcome::Rejected(Rejection::Unreadable("why".to_owned()));
        let damaged = Outcome::Rejected(Rejection::Damaged("where".to_owned()));
        let expected = [
            Some(Outcome::Duplicate(receipt(7))),
            Some(Outcome::Stored(receipt(8))),
            Some(Outcome::Conflict),
            Some(unreadable),
            Some(damaged),
            None,
        ];
        assert!(outcomes.eq(expected));
    }

    #[test]
    fn a_group_decides_its_own_repeats_and_conflicts() {
        let proposals =
            [message(1, "a"), message(2, "a"), message(1, "a"), message(2, "b"), message(3, "a")];
        let mut rules = Rules::default();
        for _ in 0..2 {
            let decided = rules.decide(&proposals, vec![Fact::Absent; 5]);
            let expected = [
                Decision::New(0),
                Decision::New(1),
                Decision::RepeatsNew(0),
                Decision::ConflictsWithNew(1),
                Decision::New(2),
            ];
            assert_eq!(decided, Decisions { decisions: expected.into(), new: 3 });
        }
        let outcome = |decision: Decision, fate: &Fate| decision.outcome(fate).unwrap();
        let stored = Fate::Stored(receipt(11));
        assert_eq!(outcome(Decision::New(2), &stored), Outcome::Stored(receipt(13)));
        assert_eq!(outcome(Decision::RepeatsNew(0), &stored), Outcome::Duplicate(receipt(11)));
        assert_eq!(outcome(Decision::ConflictsWithNew(1), &stored), Outcome::Conflict);
        let full = Rejection::ReadOnly("full".to_owned());
        let refused = Fate::Refused(full.clone());
        assert_eq!(outcome(Decision::RepeatsNew(0), &refused), Outcome::Rejected(full));
    }
}
