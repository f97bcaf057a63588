//! The log against a model of it: whatever is appended, repeated, crashed and reopened, each id is
//! stored at most once, what was acknowledged stays where it was said to be, and nothing is told
//! that a crash could take back.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{collections::HashMap, io::ErrorKind, sync::Arc};

use logging_service::{
    OpenStore,
    console::Console,
    limits::Limits,
    log::{Appender, Index},
    open_journal,
    store::{
        ScanLimit, Store,
        journal::{
            Options,
            disk::{Fault, SimulatedDisk},
        },
        memory::MemoryStore,
    },
};
use oncelog::message::{Message, MessageId, Outcome, Rejection, StoredMessage};
use proptest::{collection::vec, prelude::*};
use support::{clock, duplicate, message, record, stored};

/// Few ids and bodies, so that repeats and conflicts are common.
const IDS: u64 = 12;
const BODIES: [&str; 3] = ["a", "b", ""];

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Message>),
    /// Seals the log.
    Idle,
    /// Closes and opens again.
    Reopen,
    /// Loses power; the seed decides what of the unsynced data survives.
    Crash(u64),
    /// The nth disk operation from now fails, and then the power goes.
    FailThenCrash(u64, u64),
    /// The nth disk operation from now finds no power.
    CrashAt(u64, u64),
    /// No space for new messages for one append.
    Full(Vec<Message>),
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let one = (0..IDS, 0..BODIES.len()).prop_map(|(id, body)| message(id, BODIES[body]));
    vec(one, 1..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => messages().prop_map(Step::Append),
        1 => Just(Step::Idle),
        1 => Just(Step::Reopen),
        2 => any::<u64>().prop_map(Step::Crash),
        2 => (0..12_u64, any::<u64>()).prop_map(|(n, seed)| Step::FailThenCrash(n, seed)),
        2 => (0..12_u64, any::<u64>()).prop_map(|(n, seed)| Step::CrashAt(n, seed)),
        1 => messages().prop_map(Step::Full),
    ]
}

/// What the log must hold.
#[derive(Default)]
struct Model {
    records: Vec<Message>,
    sequences: HashMap<MessageId, u64>,
    /// New messages of an append that failed: all of them are stored, in this order, or none.
    in_doubt: Vec<Message>,
}

impl Model {
    /// Applies an append that works; returns what must be answered.
    fn append(&mut self, batch: &[Message]) -> Vec<Outcome> {
        let mut answer = |message: &Message| {
            self.known(message).unwrap_or_else(|| {
                self.push(message.clone());
                stored(self.records.len() as u64)
            })
        };
        batch.iter().map(&mut answer).collect()
    }

    /// What a message is answered whose id is stored.
    fn known(&self, message: &Message) -> Option<Outcome> {
        let sequence = *self.sequences.get(&message.id)?;
        let is_same = self.records[sequence as usize - 1] == *message;
        Some(if is_same { duplicate(sequence) } else { Outcome::Conflict })
    }

    fn push(&mut self, message: Message) {
        self.sequences.insert(message.id, self.records.len() as u64 + 1);
        self.records.push(message);
    }

    /// Notes an append whose outcome is unknown.
    fn doubt(&mut self, batch: &[Message]) {
        for message in batch {
            let is_same = |other: &Message| other.id == message.id;
            if self.known(message).is_none() && !self.in_doubt.iter().any(is_same) {
                self.in_doubt.push(message.clone());
            }
        }
    }

    /// Looks after a restart whether the append in doubt is stored.
    fn settle(&mut self, last_sequence: u64) {
        let in_doubt = std::mem::take(&mut self.in_doubt);
        if last_sequence > self.records.len() as u64 {
            in_doubt.into_iter().for_each(|message| self.push(message));
        }
        let records = self.records.len() as u64;
        assert_eq!(last_sequence, records, "a batch was stored in part or lost");
    }
}

fn appender(store: Box<dyn Store>, index: &Arc<Index>) -> Appender {
    Appender::new(store, Arc::clone(index), clock(), Console::off(), Limits::default())
}

/// These stores always know what they have stored.
fn known(outcomes: Vec<Option<Outcome>>) -> Vec<Outcome> {
    outcomes.into_iter().map(|outcome| outcome.unwrap()).collect()
}

/// A log on a simulated disk, beside its model.
struct Subject {
    disk: SimulatedDisk,
    appender: Option<Appender>,
    index: Arc<Index>,
    model: Model,
    /// Whether a fault is planted that a read may meet.
    faulty: bool,
}

impl Subject {
    fn new() -> Self {
        let mut subject = Self {
            disk: SimulatedDisk::new(),
            appender: None,
            index: Arc::default(),
            model: Model::default(),
            faulty: false,
        };
        subject.open();
        subject
    }

    /// Opens the journal; a fault that is still pending may interrupt that, so it tries again after
    /// another loss of power.
    fn open(&mut self) {
        self.appender = None;
        let options = Options { segment_bytes: 2048, ..Options::default() };
        let OpenStore { store, index } = match open_journal(self.disk(), options.clone()) {
            Ok(opened) => opened,
            Err(_) if !self.disk.fault_is_pending() => {
                self.disk.crash(0);
                open_journal(self.disk(), options).unwrap()
            }
            Err(error) => panic!("{error}"),
        };
        self.model.settle(store.last_sequence());
        self.index = Arc::new(index);
        self.appender = Some(appender(store, &self.index));
        self.check();
    }

    fn disk(&self) -> Arc<SimulatedDisk> {
        Arc::new(self.disk.clone())
    }

    fn append(&mut self, batch: &[Message]) {
        match self.appender.as_mut().unwrap().append(batch.to_vec()) {
            Ok(appended) if appended.no_space.is_none() => {
                let expected = self.model.append(batch);
                let outcomes = known(appended.outcomes);
                assert_eq!(outcomes.len(), expected.len());
                for (outcome, expected) in outcomes.iter().zip(&expected) {
                    self.check_outcome(outcome, expected);
                }
            }
            Ok(appended) => self.check_refused(batch, known(appended.outcomes)),
            Err(_) => {
                self.model.doubt(batch);
                self.restart(7);
            }
        }
    }

    fn check_outcome(&self, outcome: &Outcome, expected: &Outcome) {
        if let (Outcome::Rejected(Rejection::Unreadable(_)), true) = (outcome, self.faulty) {
            // The planted failure hit the read of the record to compare with.
            assert!(matches!(expected, Outcome::Duplicate(_) | Outcome::Conflict), "{expected:?}");
        } else {
            assert_eq!(outcome, expected);
        }
    }

    /// Without space, known messages are answered as ever, and new ones are not stored.
    fn check_refused(&self, batch: &[Message], outcomes: Vec<Outcome>) {
        for (message, outcome) in batch.iter().zip(outcomes) {
            match self.model.known(message) {
                Some(known) => assert_eq!(outcome, known),
                None => assert!(matches!(outcome, Outcome::Rejected(_)), "{outcome:?}"),
            }
        }
    }

    /// Appends while the `n`th disk operation meets `fault`.
    fn append_under(&mut self, fault: Fault, n: u64, batch: &[Message]) {
        self.disk.inject(n, fault);
        self.faulty = true;
        self.append(batch);
        self.faulty = false;
    }

    fn restart(&mut self, seed: u64) {
        self.appender = None;
        self.disk.crash(seed);
        self.open();
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Append(batch) => self.append(batch),
            Step::Idle => {
                if self.appender.as_mut().unwrap().seal().is_err() {
                    self.restart(7);
                }
            }
            Step::Reopen => self.open(),
            Step::Crash(seed) => self.restart(*seed),
            Step::FailThenCrash(n, seed) => {
                self.append_under(
                    Fault::Fail(ErrorKind::Other),
                    *n,
                    &[message(*seed % IDS, "a"), message(*n, "b")],
                );
                self.restart(*seed);
            }
            Step::CrashAt(n, seed) => {
                self.append_under(Fault::Crash, *n, &[message(*seed % IDS, "b"), message(*n, "a")]);
                self.restart(*seed);
            }
            Step::Full(batch) => {
                self.disk.set_capacity(Some(self.disk.used()));
                self.append(batch);
                self.disk.set_capacity(None);
                if self.appender.as_mut().unwrap().probe_space().is_err() {
                    self.restart(7);
                }
            }
        }
        self.check();
    }

    /// Everything that is in the model is in the log, and nothing else.
    fn check(&mut self) {
        let store = self.appender.as_mut().unwrap().store();
        let limit = ScanLimit { messages: usize::MAX, bytes: usize::MAX };
        let records = store.reader().scan(0, limit).unwrap();
        let expected: Vec<StoredMessage> =
            (1..).zip(self.model.records.iter().cloned()).map(|(n, m)| record(n, m)).collect();
        assert_eq!(records, expected);
        assert_eq!(self.index.len(), expected.len());
        for record in expected {
            let address = self.index.get(&record.message.id).unwrap();
            assert_eq!(store.reader().get(address).unwrap(), record);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_agrees_with_a_model_through_crashes_and_faults(
        steps in vec(step(), 1..40)
    ) {
        let mut subject = Subject::new();
        for step in &steps {
            subject.apply(step);
        }
    }

    #[test]
    fn the_memory_store_answers_as_the_model_does(batches in vec(messages(), 1..40)) {
        let index = Arc::new(Index::default());
        let mut appender = appender(Box::<MemoryStore>::default(), &index);
        let mut model = Model::default();
        for batch in &batches {
            let outcomes = known(appender.append(batch.clone()).unwrap().outcomes);
            prop_assert_eq!(outcomes, model.append(batch));
        }
        prop_assert_eq!(index.len(), model.records.len());
    }
}
