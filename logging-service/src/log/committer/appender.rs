//! Decides about a group of messages, and commits the new ones as one batch.
//!
//! Everything here runs in one call, without a runtime and without waiting for anything but the store, so
//! a test can walk it through any order of appends, crashes and faults.

use std::{io, sync::Arc};

use oncelog::{
    clock::Clock,
    message::{Message, Outcome, Receipt, Rejection, time::recordable},
};
use tokio::sync::watch;

use super::{doubt::Doubt, retries::Retries};
use crate::{
    console::Console,
    limits::Limits,
    log::{
        apply::{Apply, DurableSequence},
        damage::ReportingReader,
        facts,
        index::Index,
    },
    rules::{Decision, Decisions, Fate, Rules},
    store::{
        CatchUpError, CommitAnswer, CommitError, CommittedBatch, Origin, Orphaned, Refusal, Store,
    },
};

/// The writing side of the log: the store, and the one path by which its batches become known.
pub struct Appender {
    store: Box<dyn Store>,
    reader: Arc<ReportingReader>,
    apply: Apply,
    clock: Arc<dyn Clock>,
    rules: Rules,
    limits: Limits,
    doubt: Doubt,
    /// Set while there is no space: new messages are refused without asking the disk each time.
    no_space: Option<Rejection>,
    /// Set once no start would find what is stored: no message is answered as stored any more.
    orphaned: Option<Orphaned>,
}

/// What one call of [`Appender::append`] did.
#[derive(Debug)]
pub struct Appended {
    /// One for each message, in order; `None` if it is unknown whether the message is stored, and the
    /// store goes on.
    pub outcomes: Vec<Option<Outcome>>,
    /// The messages that the last attempt of this call stored, in log order: those that are still to be
    /// shown. What an attempt stored whose answer was lost is not among them.
    pub stored: Vec<Message>,
    /// Why new messages were rejected for want of space, if they were.
    pub no_space: Option<Rejection>,
    /// Why nothing is stored any more, if that is so.
    pub orphaned: Option<Orphaned>,
}

impl Appender {
    /// An appender over a store whose records are all in `index`.
    pub fn new(
        store: Box<dyn Store>,
        index: Arc<Index>,
        clock: Arc<dyn Clock>,
        console: Console,
        limits: Limits,
    ) -> Self {
        let reader = Arc::new(ReportingReader::new(store.reader()));
        let apply = Apply::new(index, store.last_sequence(), console);
        let (rules, doubt) = <_>::default();
        let (no_space, orphaned) = (None, None);
        Self { store, reader, apply, clock, rules, limits, doubt, no_space, orphaned }
    }

    /// The store.
    pub fn store(&mut self) -> &mut dyn Store {
        &mut *self.store
    }

    /// The one reader of the log, which reports damage.
    pub(in crate::log) fn reader(&self) -> Arc<ReportingReader> {
        Arc::clone(&self.reader)
    }

    /// Sequence of the last durable record, and a way to wait for more.
    pub fn last_sequence(&self) -> watch::Receiver<u64> {
        self.apply.last_sequence()
    }

    /// Sequence of the last durable record, which no receipt is ahead of.
    pub(in crate::log) fn durable_sequence(&self) -> DurableSequence {
        self.apply.durable_sequence()
    }

    /// Stores the new ones among `messages`, durably, and says what became of each. When this returns,
    /// the new records are in the index and visible to reads; [`Appender::show`] puts them on the console.
    ///
    /// Where several writers share the log, it reads on and decides again until the batch is stored, but
    /// not beyond [`Limits::commit_attempts`] and [`Limits::commit_retry_time`]. Then messages that may be
    /// stored, by this call or an earlier one, have no outcome, and messages that surely are not are rejected
    /// as overload.
    ///
    /// # Errors
    /// The disk failed: it is unknown what is stored, every message must be answered so, and the
    /// appender must not be used again.
    ///
    /// # Panics
    /// If the store breaks its contract. Nothing was acknowledged, and the appender must not be used again.
    pub fn append(&mut self, messages: Vec<Message>) -> io::Result<Appended> {
        let mut retries = Retries::new(&self.limits);
        let mut proposals = messages;
        self.doubt.begin_group();
        if self.is_in_doubt() {
            self.catch_up(&[], &mut retries)?;
        }
        loop {
            if let Some(orphaned) = &self.orphaned {
                let outcomes = self.outcomes_of_orphan(&proposals, orphaned);
                let orphaned = Some(orphaned.clone());
                return Ok(Appended { outcomes, stored: Vec::new(), no_space: None, orphaned });
            }
            let facts =
                facts::look_up(self.apply.index(), &*self.reader, &proposals, retries.landed());
            let decided = self.rules.decide(&proposals, facts);
            let (batch, rest) = split(proposals, &decided);
            let Some(fate) = self.commit(&batch, &mut retries)? else {
                proposals = join(batch, rest, &decided);
                continue;
            };
            retries.warn();
            let (outcomes, stored) = if matches!(fate, Fate::Stored(_)) {
                let decisions = decided.decisions.into_iter();
                (decisions.map(|decision| decision.outcome(&fate)).collect(), batch)
            } else {
                let proposals = join(batch, rest, &decided);
                (self.outcomes_not_stored(&proposals, decided, &fate), Vec::new())
            };
            let no_space = self.no_space.clone();
            return Ok(Appended { outcomes, stored, no_space, orphaned: None });
        }
    }

    /// Shows messages on the console that [`Appender::append`] has stored.
    pub fn show(&self, stored: &[Message]) {
        self.apply.show(stored);
    }

    /// Makes the batch durable, then lets all parts of the log know it. `None`: it is to be decided again.
    fn commit(&mut self, batch: &[Message], retries: &mut Retries) -> io::Result<Option<Fate>> {
        if batch.is_empty() {
            // It is the fate of no record.
            return Ok(Some(Fate::Unknown));
        }
        if let Some(rejection) = &self.no_space {
            return Ok(Some(Fate::Refused(rejection.clone())));
        }
        if retries.are_used_up() {
            return Ok(Some(Fate::Refused(retries.rejection())));
        }
        let stored_at = recordable(self.clock.now());
        match self.store.commit(batch, stored_at) {
            CommitAnswer::Stored(committed) => {
                self.apply.publish(&committed, batch);
                self.doubt.settle();
                let first = Receipt { sequence: committed.first_sequence, stored_at };
                return Ok(Some(Fate::Stored(first)));
            }
            // The whole group is answered anew, messages that are stored already included.
            CommitAnswer::Refused(Refusal::Orphaned(orphaned)) => {
                self.orphaned = Some(orphaned);
                return Ok(None);
            }
            CommitAnswer::Refused(Refusal::NoSpace(error)) => {
                let rejection = Rejection::ReadOnly(Refusal::NoSpace(error).to_string());
                self.no_space = Some(rejection.clone());
                return Ok(Some(Fate::Refused(rejection)));
            }
            // An election takes seconds: to the client it is a log that cannot take more for a moment.
            CommitAnswer::Refused(refusal @ Refusal::NoLeader(_)) => {
                let rejection = Rejection::Overloaded(format!("not stored: {refusal}"));
                return Ok(Some(Fate::Refused(rejection)));
            }
            CommitAnswer::Failed(error) => return Err(error),
            CommitAnswer::Overtaken => {}
            CommitAnswer::Unknown(reason) => {
                self.doubt.add(batch);
                retries.note_trouble(reason);
            }
        }
        self.catch_up(batch, retries)?;
        Ok(None)
    }

    /// The outcomes where the last attempt stored nothing. Its refusal speaks for itself only: an earlier
    /// attempt, be it of another call, may have stored a message, or may still.
    fn outcomes_not_stored(
        &self,
        proposals: &[Message],
        decided: Decisions,
        fate: &Fate,
    ) -> Vec<Option<Outcome>> {
        let outcome = |(proposal, decision): (&Message, Decision)| {
            let is_in_doubt = self.doubt.may_hold(&proposal.id);
            decision.outcome(if is_in_doubt { &Fate::Unknown } else { fate })
        };
        proposals.iter().zip(decided.decisions).map(outcome).collect()
    }

    /// The outcomes once no start would find what is stored: a message that is in the log may be gone with
    /// this process, and the others are not stored.
    fn outcomes_of_orphan(
        &self,
        proposals: &[Message],
        Orphaned { reason, .. }: &Orphaned,
    ) -> Vec<Option<Outcome>> {
        let outcome = |proposal: &Message| {
            if self.doubt.may_hold(&proposal.id) {
                return None;
            }
            Some(Outcome::Rejected(match self.apply.index().get(&proposal.id) {
                Some(_) => Rejection::Unreadable(format!(
                    "a record with this id was stored, and may be lost: {reason}"
                )),
                None => Rejection::ReadOnly(format!("not stored: {reason}")),
            }))
        };
        proposals.iter().map(outcome).collect()
    }

    /// Whether a batch may be stored that is not known, as the answer to its commit was lost.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt.exists()
    }

    /// If a batch may be stored that is not known, reads on once: what is found becomes known. The log may
    /// then still be in doubt.
    ///
    /// # Errors
    /// As [`Appender::append`].
    pub fn resolve_doubt(&mut self) -> io::Result<()> {
        if self.is_in_doubt() {
            // The call that was left in doubt has warned already.
            self.catch_up(&[], &mut Retries::new(&self.limits))?;
        }
        Ok(())
    }

    /// Applies what was committed meanwhile, by other writers or by an attempt whose answer was lost. The
    /// group at hand has tried to commit `batch`.
    fn catch_up(&mut self, batch: &[Message], retries: &mut Retries) -> io::Result<()> {
        let read = match self.store.catch_up() {
            Ok(read) => read,
            Err(CatchUpError::Unavailable(reason)) => {
                retries.note_trouble(reason);
                return Ok(());
            }
            Err(CatchUpError::Failed(error)) => return Err(error),
        };
        for CommittedBatch { origin, messages, committed } in &read {
            self.apply.publish(committed, messages);
            self.apply.show(messages);
            match origin {
                Origin::Own => retries.note_landed(self.doubt.landed(batch, messages)),
                Origin::Other => {}
            }
        }
        if !read.is_empty() {
            self.doubt.settle();
        }
        Ok(())
    }

    /// Asks the store whether a start would find what is stored. If not, no message is answered as stored
    /// any more.
    ///
    /// # Errors
    /// As [`Store::check_place`].
    pub fn check_place(&mut self) -> Result<(), Orphaned> {
        let checked = self.store.check_place();
        if let Err(orphaned) = &checked {
            self.orphaned = Some(orphaned.clone());
        }
        checked
    }

    /// Seals the log. If no start would find it, no message is answered as stored any more.
    ///
    /// # Errors
    /// As [`Store::seal`].
    pub fn seal(&mut self) -> Result<(), CommitError> {
        let sealed = self.store.seal();
        self.note_orphaned(sealed)
    }

    /// Asks the store whether a full disk has space again. If so, new messages are taken again.
    ///
    /// # Errors
    /// As [`Store::probe_space`].
    pub fn probe_space(&mut self) -> Result<(), CommitError> {
        let probed = self.store.probe_space();
        self.note_orphaned(probed)?;
        self.no_space = None;
        Ok(())
    }

    /// Remembers that no start would find what is stored, if that is the result.
    fn note_orphaned(&mut self, result: Result<(), CommitError>) -> Result<(), CommitError> {
        match &result {
            Err(CommitError::Orphaned(orphaned) | CommitError::WrittenToOrphan(orphaned)) => {
                self.orphaned = Some(orphaned.clone());
            }
            Ok(()) | Err(CommitError::NoSpace(_) | CommitError::Failed(_)) => {}
        }
        result
    }
}

/// The proposals that are new, and the others.
fn split(proposals: Vec<Message>, decided: &Decisions) -> (Vec<Message>, Vec<Message>) {
    if decided.new == proposals.len() {
        return (proposals, Vec::new());
    }
    let mut batch = Vec::with_capacity(decided.new);
    let mut rest = Vec::with_capacity(proposals.len() - decided.new);
    for (proposal, decision) in proposals.into_iter().zip(&decided.decisions) {
        if matches!(decision, Decision::New(_)) {
            batch.push(proposal)
        } else {
            rest.push(proposal)
        }
    }
    (batch, rest)
}

/// The proposals in their order, as they were before [`split`].
fn join(batch: Vec<Message>, rest: Vec<Message>, decided: &Decisions) -> Vec<Message> {
    let (mut batch, mut rest) = (batch.into_iter(), rest.into_iter());
    let next = |decision: &Decision| {
        if matches!(decision, Decision::New(_)) { batch.next() } else { rest.next() }
    };
    let proposals: Vec<_> = decided.decisions.iter().filter_map(next).collect();
    assert_eq!(proposals.len(), decided.decisions.len(), "no proposal is lost between attempts");
    proposals
}
