//! Whatever a store answers: the committer's side of the log against a model of what the calls were told.

use std::collections::HashMap;

use logging_service::{
    OpenStore,
    console::Console,
    log::{Appended, Appender},
};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::support::{clock, scripted_store::Entry};

/// Few ids and bodies, so that repeats and conflicts are common.
const IDS: u64 = 10;
const BODIES: [&str; 2] = ["a", "b"];

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let one = (0..IDS, 0..BODIES.len()).prop_map(|(id, body)| message(id, BODIES[body]));
    vec(one, 1..5)
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        3 => Just(Answer::Stored),
        2 => messages().prop_map(Answer::Overtaken),
        2 => Just(Answer::LostReply),
        2 => Just(Answer::LostRequest),
        2 => Just(Answer::Late),
        1 => messages().prop_map(Answer::LateAndOvertaken),
        1 => Just(Answer::NoLeader),
        1 => Just(Answer::NoSpace),
    ]
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        4 => Just(Reading::All),
        1 => Just(Reading::One),
        1 => Just(Reading::Nothing),
        1 => Just(Reading::Unavailable),
    ]
}

/// One call, and what happens around it.
#[derive(Debug, Clone)]
struct Call {
    messages: Vec<Message>,
    answers: Vec<Answer>,
    readings: Vec<Reading>,
    /// Whether all attempts arrive before the call, and the script ends.
    settles: bool,
    /// Whether a full store is probed before the call.
    probes: bool,
    /// Whether the committer is idle after the call.
    is_idle: bool,
}

fn call() -> impl Strategy<Value = Call> {
    let script = (messages(), vec(answer(), 0..6), vec(reading(), 0..4));
    let around = (prop::bool::weighted(0.3), any::<bool>(), any::<bool>());
    (script, around).prop_map(|((messages, answers, readings), (settles, probes, is_idle))| Call {
        messages,
        answers,
        readings,
        settles,
        probes,
        is_idle,
    })
}

/// The batch of this writer among `entries` that holds the id of `message`.
fn own<'a>(entries: &'a [Entry], message: &Message) -> Option<&'a Entry> {
    let mut own = entries.iter().filter(|entry| entry.origin == Origin::Own);
    own.find(|entry| entry.messages.iter().any(|stored| stored.id == message.id))
}

/// What the calls were told, to be compared with what is stored in the end.
#[derive(Default)]
struct Told {
    /// Sequences of acknowledged messages.
    acknowledged: Vec<(u64, Message)>,
    conflicts: Vec<Message>,
    /// How often each id was said to be newly stored.
    stored: HashMap<oncelog::message::MessageId, usize>,
}

impl Told {
    /// Notes the answer of a call whose first commit comes after so many `commits`.
    fn note(
        &mut self,
        message: Message,
        outcome: Option<Outcome>,
        commits: usize,
        script: &Script,
    ) {
        match outcome {
            Some(Outcome::Stored(receipt)) => {
                let by = own(&script.log(), &message).map(|entry| entry.commit);
                assert!(by > Some(commits), "{} is a duplicate", message.id);
                *self.stored.entry(message.id).or_default() += 1;
                self.acknowledged.push((receipt.sequence, message));
            }
            Some(Outcome::Duplicate(receipt)) => {
                self.acknowledged.push((receipt.sequence, message));
            }
            Some(Outcome::Conflict) => self.conflicts.push(message),
            Some(Outcome::Rejected(Rejection::Overloaded(_) | Rejection::ReadOnly(_))) => {
                // Not stored by any attempt up to now, and none is still to come.
                assert!(own(&script.log(), &message).is_none(), "{} is stored", message.id);
                assert!(own(&script.late(), &message).is_none(), "{} may arrive", message.id);
            }
            Some(other @ Outcome::Rejected(_)) => panic!("{other:?}"),
            // Stored or not: the next calls and the end of the test tell.
            None => {}
        }
    }

    fn check(&self, records: &[Message]) {
        for (sequence, message) in &self.acknowledged {
            let stored = &records[*sequence as usize - 1];
            assert_eq!(stored, message, "an acknowledgement was lost");
        }
        for message in &self.conflicts {
            let stored = records.iter().find(|stored| stored.id == message.id).unwrap();
            assert_ne!(stored, message);
        }
        assert!(self.stored.values().all(|count| *count == 1), "stored twice");
    }
}

fn run(calls: Vec<Call>) {
    let (OpenStore { store, index }, script, _) = scripted();
    let index = Arc::new(index);
    let mut appender = Appender::new(store, Arc::clone(&index), clock(), Console::off(), LIMITS());
    let mut told = Told::default();
    for Call { messages, answers, readings, settles, probes, is_idle } in calls {
        if settles {
            script.settle();
        }
        if probes {
            appender.probe_space().unwrap();
        }
        let (commits, unknown) = (script.commits(), script.unknown());
        let was_in_doubt = appender.is_in_doubt();
        script.answer(answers);
        script.read(readings);
        let Appended { outcomes, .. } = appender.append(messages.clone()).unwrap();
        assert_eq!(outcomes.len(), messages.len());
        if outcomes.iter().any(Option::is_none) {
            let is_unknown = was_in_doubt || script.unknown() > unknown;
            assert!(is_unknown, "the store gave only certain answers");
        } else {
            let mut late = script.late().into_iter();
            assert!(late.all(|entry| entry.commit <= commits), "an attempt may still arrive");
        }
        for (message, outcome) in messages.into_iter().zip(outcomes) {
            told.note(message, outcome, commits, &script);
        }
        assert!(
            script.late().is_empty() || appender.is_in_doubt(),
            "a pending attempt is forgotten"
        );
        if is_idle {
            script.read([]);
            appender.resolve_doubt().unwrap();
            let log = script.log();
            let own = log.iter().filter(|entry| entry.origin == Origin::Own);
            let mut stored = own.flat_map(|entry| &entry.messages);
            assert!(stored.all(|stored| index.get(&stored.id).is_some()), "not read on");
        }
    }
    script.settle();
    appender.probe_space().unwrap();
    // A last call reads all that is stored, and finds it.
    appender.append(vec![message(IDS, "last")]).unwrap();
    assert!(!appender.is_in_doubt());
    let records = script.records();
    told.check(&records);
    assert_eq!(index.len(), records.len());
    assert_eq!(*appender.last_sequence().borrow(), records.len() as u64);
    for (sequence, one) in (1..).zip(records) {
        let address = index.get(&one.id).unwrap();
        let found = appender.store().reader().get(address).unwrap();
        assert_eq!(found, record(sequence, one));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_a_store_answers_each_message_is_stored_once(
        calls in vec(call(), 1..20)
    ) {
        run(calls);
    }
}
