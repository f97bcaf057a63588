//! Two checkers that share no line agree on hundreds of histories, good and spoiled at random.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use std::{collections::BTreeSet, env};

use fastrand::Rng;
use faultlab::{
    checker::{Invariant, Scope, SecondChecker, verdict},
    history::{Attempt, Head, Healed, History, Lookup, Micros, Outcome, Peak, Read, Record, Shown},
};

const CASES: u64 = 400;

/// The message that no client may send.
const WRONG: &str = "mé0";

/// A system that keeps its promises, and clients that look at it.
struct Model {
    rng: Rng,
    now: Micros,
    log: Vec<Record>,
    history: History,
}

impl Model {
    fn later(&mut self) -> Micros {
        self.now += self.rng.u64(0..3);
        self.now
    }

    /// Sends `message`; it is stored, or not, and its client is told, or not.
    fn post(&mut self, message: &str, key: Option<String>) {
        let invoked = self.later();
        let outcome = if message == WRONG { Outcome::Refused } else { self.store(message) };
        let ended = self.later();
        let message = message.to_owned();
        self.history.attempts.push(Attempt { message, key, invoked, ended, outcome });
    }

    fn store(&mut self, message: &str) -> Outcome {
        let place = self.log.iter().position(|record| record.message == message);
        let (stored, told) = (place.is_some(), self.rng.u8(0..10));
        if !stored && told < 8 {
            let sequence = self.log.len() as u64 + 1;
            let uuid = format!("id {sequence}");
            self.log.push(Record { sequence, uuid, message: message.to_owned() });
        }
        let record = self.log.iter().find(|record| record.message == message);
        match (told, record) {
            (0..6, Some(Record { sequence, uuid, .. })) => {
                Outcome::Acknowledged { uuid: uuid.clone(), sequence: *sequence, replayed: stored }
            }
            (6..9, _) | (_, Some(_)) => Outcome::Unknown,
            _ => Outcome::NotStored,
        }
    }

    fn read(&mut self) {
        let (began, count) = (self.later(), self.log.len());
        let complete = self.rng.u8(0..4) > 0;
        let count = if complete { count } else { self.rng.usize(0..=count) };
        let (ended, shown) = (self.later(), self.log[..count].into());
        self.history.reads.push(Read { began, ended, complete, shown });
    }

    fn look_up(&mut self) {
        let Some(record) = self.rng.choice(&self.log).cloned() else { return };
        let (began, ended, uuid) = (self.later(), self.later(), record.uuid.clone());
        self.history.lookups.push(Lookup { uuid, began, ended, found: Some(record) });
    }

    /// A run that breaks nothing, though it may show nothing either.
    fn run(seed: u64) -> Self {
        let rng = Rng::with_seed(seed);
        let mut model = Self { rng, now: 0, log: Vec::new(), history: History::default() };
        let messages = model.rng.u32(1..8);
        for _ in 0..model.rng.u32(3..25) {
            let message = format!("mé{}", model.rng.u32(0..messages));
            let key = model.rng.bool().then(|| format!("key of {message}"));
            match model.rng.u8(0..10) {
                0..7 => model.post(&message, key),
                7..9 => model.read(),
                _ => model.look_up(),
            }
        }
        model
    }

    /// Any value that is near one that is there.
    fn sequence(&mut self) -> u64 {
        self.rng.u64(0..self.log.len() as u64 + 2)
    }

    fn record(&mut self) -> Record {
        let of = |text: &str, number: u64| format!("{text}{number}");
        let numbers = [self.sequence(), self.sequence(), self.rng.u64(0..9)];
        Record { sequence: numbers[0], uuid: of("id ", numbers[1]), message: of("mé", numbers[2]) }
    }

    fn spoil(&mut self) {
        match self.rng.u8(0..5) {
            0 => self.spoil_the_log(),
            1 | 2 => self.spoil_an_attempt(),
            3 => self.spoil_what_was_seen(),
            _ => {
                let Self { rng, now, history, .. } = self;
                let (at, within) = (rng.u64(0..=*now), rng.u64(0..6));
                history.healed.push(Healed { at, within });
                let (service, what) = ("facade".to_owned(), "threads".to_owned());
                history.peaks.push(Peak { service, what, found: rng.u64(0..9), cap: 7 });
            }
        }
    }

    fn spoil_the_log(&mut self) {
        let record = self.record();
        let Self { rng, log, .. } = self;
        let (one, other) = (rng.usize(0..=log.len()), rng.usize(0..=log.len()));
        match rng.u8(0..6) {
            0 => log.insert(one, record),
            1 if one < log.len() => drop(log.remove(one)),
            2 if one.max(other) < log.len() => log.swap(one, other),
            3 if one < log.len() => log[one].uuid = record.uuid,
            4 if one < log.len() => log[one].message = record.message,
            _ => log.truncate(one),
        }
        if rng.bool() {
            (1..).zip(log).for_each(|(sequence, record)| record.sequence = sequence);
        }
    }

    fn spoil_an_attempt(&mut self) {
        let Record { sequence, uuid, message } = self.record();
        let now = self.now;
        let Self { rng, history, .. } = self;
        let Some(attempt) = rng.choice(&mut history.attempts) else { return };
        match rng.u8(0..6) {
            0 => attempt.message = message,
            1 => attempt.key = Some(format!("key of {message}")),
            2 => attempt.invoked = rng.u64(0..=attempt.ended),
            3 => attempt.ended = rng.u64(attempt.invoked..=now.max(attempt.invoked)),
            4 => {
                let replayed = rng.bool();
                attempt.outcome = Outcome::Acknowledged { uuid, sequence, replayed };
            }
            _ => {
                let answer = "?".to_owned();
                let outcomes = [
                    Outcome::NotStored,
                    Outcome::Unknown,
                    Outcome::Conflict,
                    Outcome::Refused,
                    Outcome::Nonsense { answer },
                ];
                attempt.outcome = rng.choice(outcomes).unwrap();
            }
        }
    }

    fn spoil_what_was_seen(&mut self) {
        let record = self.record();
        let Self { rng, now, log, history } = self;
        let time = rng.u64(0..=*now);
        if rng.bool() {
            if let Some(read) = rng.choice(&mut history.reads) {
                match rng.u8(0..5) {
                    0 => read.began = time,
                    1 => read.ended = time,
                    2 => read.complete = true,
                    3 => read.shown = Shown::from(&log[..rng.usize(0..=log.len())]),
                    _ => read.shown.push(&record),
                }
            }
        } else if let Some(lookup) = rng.choice(&mut history.lookups) {
            match rng.u8(0..4) {
                0 => lookup.found = None,
                1 => lookup.found = Some(record),
                2 => lookup.uuid = record.uuid,
                _ => (lookup.began, lookup.found) = (time, None),
            }
        }
    }
}

#[test]
fn both_checkers_agree_on_hundreds_of_spoiled_histories() {
    let first_seed = env::var("ONCELOG_SEED").map_or(0, |seed| seed.parse().unwrap());
    let cases = env::var("ONCELOG_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let mut checker = SecondChecker::start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut caught = BTreeSet::new();
    let mut good = 0;
    for seed in first_seed..first_seed + cases {
        let mut model = Model::run(seed);
        let spoiled = seed % 4;
        (0..spoiled).for_each(|_| model.spoil());
        let Model { history, log, .. } = model;
        // Others may have written to the same log.
        let part = seed % 5 == 4;
        let head = Head { part, ..Head::new(seed, "model") };
        history.keep(&head, &log, dir.path()).unwrap();
        let agreed =
            checker.agreed(dir.path()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let scope = if part { Scope::OwnRecords } else { Scope::WholeLog };
        let verdict = verdict(&history, &log, scope);
        assert_eq!(agreed, verdict, "seed {seed}: the kept run is another one");
        let broken = agreed.broken();
        assert!(spoiled > 0 || broken.is_empty(), "seed {seed}: {:?}", agreed.violations);
        good += usize::from(broken.is_empty());
        caught.extend(broken);
    }
    // Every rule was broken somewhere; damaged data is not in a history.
    let checked = Invariant::ALL.into_iter().filter(|invariant| *invariant != Invariant::I13);
    assert_eq!(caught, checked.collect(), "the cases do not cover all invariants");
    assert!(good > 0, "nothing was found good");
}
