//! The checker's own tests: good histories pass, and each way of breaking a promise is caught.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod hidden;
mod parts;

use std::sync::{LazyLock, Mutex, PoisonError};

use faultlab::{
    checker::{Account, Invariant, Promise, Scope, SecondChecker, Verdict, Violation, verdict},
    history::{Attempt, Head, Healed, History, Lookup, Micros, Outcome, Peak, Read, Record, Shown},
};

fn attempt(message: &str, key: &str, time: [Micros; 2], outcome: Outcome) -> Attempt {
    let key = (!key.is_empty()).then(|| key.to_owned());
    Attempt { message: message.to_owned(), key, invoked: time[0], ended: time[1], outcome }
}

fn ok(uuid: &str, sequence: u64) -> Outcome {
    Outcome::Acknowledged { uuid: uuid.to_owned(), sequence, replayed: false }
}

fn record(sequence: u64, uuid: &str, message: &str) -> Record {
    Record { sequence, uuid: uuid.to_owned(), message: message.to_owned() }
}

/// `a` is acknowledged, repeated and acknowledged again; `b` is unknown and stored; `c` is unknown
/// and absent; `d` is refused twice over; `e` is sent after all of them. Readers read meanwhile.
fn good() -> (History, Vec<Record>) {
    let log = vec![record(1, "A", "a"), record(2, "B", "b"), record(3, "E", "e")];
    let attempts = vec![
        attempt("a", "ka", [0, 10], ok("A", 1)),
        attempt("a", "ka", [11, 20], replayed("A", 1)),
        attempt("b", "kb", [5, 30], Outcome::Unknown),
        attempt("c", "", [6, 31], Outcome::Unknown),
        attempt("d", "kd", [7, 8], Outcome::NotStored),
        attempt("d", "ka", [21, 22], Outcome::Conflict),
        attempt("e", "", [40, 50], ok("E", 3)),
    ];
    let read = |began, count: usize, complete| Read {
        began,
        ended: began + 1,
        complete,
        shown: log[..count].into(),
    };
    let reads = vec![read(1, 0, true), read(12, 1, true), read(35, 0, false), read(60, 3, true)];
    let lookups = vec![
        Lookup { uuid: "A".to_owned(), began: 12, ended: 13, found: Some(log[0].clone()) },
        Lookup { uuid: "E".to_owned(), began: 12, ended: 13, found: None },
    ];
    (History { attempts, reads, lookups, ..History::default() }, log)
}

fn replayed(uuid: &str, sequence: u64) -> Outcome {
    Outcome::Acknowledged { uuid: uuid.to_owned(), sequence, replayed: true }
}

/// One for all tests, which takes a question at a time.
static SECOND: LazyLock<Mutex<SecondChecker>> =
    LazyLock::new(|| Mutex::new(SecondChecker::start().unwrap()));

/// What both checkers say, in memory and on the kept run.
#[track_caller]
fn check(history: &History, log: &[Record]) -> Vec<Violation> {
    let agreed = agreed(&Head::new(1, "checker_tests"), history, log);
    assert_eq!(agreed, verdict(history, log, Scope::WholeLog));
    agreed.violations
}

#[track_caller]
fn agreed(head: &Head, history: &History, log: &[Record]) -> Verdict {
    let dir = tempfile::tempdir().unwrap();
    history.keep(head, log, dir.path()).unwrap();
    let mut second = SECOND.lock().unwrap_or_else(PoisonError::into_inner);
    second.agreed(dir.path()).unwrap()
}

fn account(history: &History, log: &[Record]) -> Account {
    verdict(history, log, Scope::WholeLog).account
}

/// What the checker says after `spoil` has broken the good history.
#[track_caller]
fn caught(spoil: impl FnOnce(&mut History, &mut Vec<Record>), expected: &Violation) {
    let (mut history, mut log) = good();
    spoil(&mut history, &mut log);
    let violations = check(&history, &log);
    assert!(violations.contains(expected), "expected {expected:?}, found {violations:?}");
}

fn lost(message: &str, sequence: u64, seen_in: &'static str) -> Violation {
    Violation::Lost { message: message.to_owned(), sequence, seen_in }
}

#[test]
fn a_good_history_passes_and_is_counted() {
    let (history, log) = good();
    assert_eq!(check(&history, &log), []);
    let account = account(&history, &log);
    assert_eq!((account.attempts, account.acknowledged, account.absorbed), (7, 2, 1));
    assert_eq!((account.unknown, account.not_stored, account.conflicts), (2, 1, 1));
    assert_eq!((account.messages, account.uncertain, account.resolved), (5, 2, 0));
    assert_eq!((account.unknown_stored, account.unknown_absent, account.stored), (1, 1, 3));
    assert_eq!(account.stored, account.acknowledged + account.unknown_stored);
}

#[test]
fn concurrent_messages_may_be_stored_in_either_order() {
    let (mut history, mut log) = good();
    // `b` was sent before `a` was acknowledged, so either may come first.
    log[0] = record(1, "B", "b");
    log[1] = record(2, "A", "a");
    history.attempts[0].outcome = ok("A", 2);
    history.attempts[1].outcome = replayed("A", 2);
    history.reads.clear();
    history.lookups.clear();
    assert_eq!(check(&history, &log), []);
}

#[test]
fn a_repeat_may_win_over_the_first_try_it_overtakes() {
    let (mut history, log) = good();
    history.attempts[0].outcome = replayed("A", 1);
    history.attempts[1].invoked = 1;
    assert_eq!(check(&history, &log), []);
}

#[test]
fn an_acknowledged_message_that_is_gone_is_caught() {
    caught(|_, log| log.truncate(2), &lost("e", 3, "the final log"));
}

/// A way to break a promise, and what is said of it.
type Spoiled = (fn(&mut History, &mut Vec<Record>), Violation);

#[test]
fn each_way_to_lose_or_double_a_message_is_caught() {
    let (log, read, lookup) =
        ("the final log", "a read after its receipt", "a lookup after its receipt");
    let twice = |what: &str| Violation::StoredTwice { what: what.into(), sequences: [2, 4] };
    let phantom = |message: &str| Violation::Phantom { message: message.into(), sequence: 4 };
    let altered =
        Violation::Altered { uuid: "A".into(), acknowledged: "a".into(), stored: "a?".into() };
    assert_eq!(altered.invariant(), Some(Invariant::I3));
    let cases: [Spoiled; 9] = [
        // At another place.
        (
            |_, log| {
                log.swap(0, 1);
                (1..).zip(log).for_each(|(sequence, record)| record.sequence = sequence);
            },
            lost("a", 1, log),
        ),
        // Under another id.
        (|_, log| log[0].uuid = "Z".into(), lost("a", 1, log)),
        (|history, _| history.reads[1].shown = Shown::default(), lost("a", 1, read)),
        (|history, _| history.lookups[0].found = None, lost("a", 1, lookup)),
        (|_, log| log.push(record(4, "B", "c")), twice("B")),
        // Never sent, and surely not stored.
        (|_, log| log.push(record(4, "X", "x")), phantom("x")),
        (|_, log| log.push(record(4, "D", "d")), phantom("d")),
        (
            |_, log| log.push(record(4, "X", "x")),
            Violation::Unaccounted { stored: 4, explained: 3 },
        ),
        (|_, log| log[0].message = "a?".into(), altered),
    ];
    for (spoil, expected) in cases {
        caught(spoil, &expected);
    }
}

#[test]
fn each_way_to_reorder_or_to_show_something_else_is_caught() {
    let (acknowledged, sent_later) = ("a".into(), "b".into());
    let cases: [Spoiled; 4] = [
        // A message of unknown outcome.
        (
            |history, log| {
                *log = vec![record(1, "B", "b"), record(2, "A", "a"), record(3, "E", "e")];
                history.attempts[2].invoked = 15;
            },
            Violation::OutOfOrder { acknowledged, sent_later },
        ),
        // A read that broke off.
        (
            |history, _| history.reads[2].shown.push(&record(1, "Z", "z")),
            Violation::NotAPrefix { sequence: 1 },
        ),
        (
            |history, log| {
                let shown = log[..1].into();
                history.reads.push(Read { began: 70, ended: 71, complete: true, shown });
            },
            Violation::Shrunk { before: 3, after: 1 },
        ),
        (
            |history, _| history.lookups[0].found = Some(record(9, "A", "a")),
            Violation::NotAPrefix { sequence: 9 },
        ),
    ];
    for (spoil, expected) in cases {
        caught(spoil, &expected);
    }
}

#[test]
fn each_wrong_answer_and_each_shared_key_is_caught() {
    let shared = |other: &str| {
        let messages = ["a".into(), other.into()];
        Violation::KeySharedBy { key: "ka".into(), messages }
    };
    let accepted =
        Violation::ConflictAccepted { key: "ka".into(), messages: ["a".into(), "d".into()] };
    let nonsense = Violation::Nonsense { message: "d".into(), answer: "418 I'm a teapot".into() };
    assert_eq!(nonsense.promise(), Promise::HonestAnswers);
    let cases: [Spoiled; 6] = [
        (
            |history, _| history.attempts[6].outcome = replayed("E", 3),
            Violation::ReplayOfNothing { message: "e".into() },
        ),
        (
            |history, _| history.attempts[1].outcome = Outcome::Conflict,
            Violation::FalseConflict { message: "a".into() },
        ),
        (
            |history, _| {
                let answer = "418 I'm a teapot".into();
                history.attempts[4].outcome = Outcome::Nonsense { answer };
            },
            nonsense,
        ),
        (
            |history, log| {
                history.attempts[5].outcome = Outcome::Unknown;
                log.push(record(4, "D", "d"));
            },
            shared("d"),
        ),
        // A message with two keys is checked under both.
        (
            |history, _| {
                history.attempts.push(attempt("b", "ka", [32, 33], Outcome::Unknown));
            },
            shared("b"),
        ),
        (|history, _| history.attempts[5].outcome = ok("A", 1), accepted),
    ];
    for (spoil, expected) in cases {
        caught(spoil, &expected);
    }
}

#[test]
fn a_message_stored_twice_is_caught() {
    let expected = Violation::StoredTwice { what: "b".to_owned(), sequences: [2, 4] };
    caught(|_, log| log.push(record(4, "F", "b")), &expected);
}

#[test]
fn a_damaged_text_is_caught() {
    let expected = Violation::Phantom { message: "b?".to_owned(), sequence: 2 };
    caught(|_, log| log[1].message = "b?".to_owned(), &expected);
}

#[test]
fn receipts_with_different_places_are_caught() {
    let expected = Violation::ReceiptsDiffer { message: "a".to_owned() };
    caught(|history, _| history.attempts[1].outcome = ok("A", 2), &expected);
    caught(|history, _| history.attempts[1].outcome = ok("Z", 1), &expected);
}

#[test]
fn a_gap_is_caught() {
    let expected = Violation::Gap { expected: 2, found: 3 };
    caught(|_, log| drop(log.remove(1)), &expected);
}

#[test]
fn a_message_stored_before_one_it_was_sent_after_is_caught() {
    let out_of_order = |history: &mut History, log: &mut Vec<Record>| {
        *log = vec![record(1, "E", "e"), record(2, "B", "b"), record(3, "A", "a")];
        history.attempts[6].outcome = ok("E", 1);
        history.attempts[0].outcome = ok("A", 3);
    };
    let (acknowledged, sent_later) = ("a".to_owned(), "e".to_owned());
    caught(out_of_order, &Violation::OutOfOrder { acknowledged, sent_later });
}

#[test]
fn a_read_of_what_vanished_later_is_caught() {
    let expected = Violation::NotAPrefix { sequence: 3 };
    // As a reader would see it that was shown a record before it was durable.
    caught(|_, log| log.truncate(2), &expected);
}

#[test]
fn a_run_without_unknown_outcomes_or_repeats_proves_nothing() {
    let expected = Violation::Vacuous { unknown: 0, absorbed: 1 };
    let nothing_unknown = |history: &mut History, _: &mut Vec<Record>| {
        history.attempts.retain(|attempt| attempt.outcome != Outcome::Unknown);
    };
    caught(nothing_unknown, &expected);
    let expected = Violation::Vacuous { unknown: 2, absorbed: 0 };
    caught(|history, _| drop(history.attempts.remove(1)), &expected);
}

#[test]
fn a_kept_history_has_one_event_a_line_and_can_be_read_back() {
    let (history, _) = good();
    let mut kept = Vec::new();
    history.write_json_lines(&Head::new(7, "checker_tests"), &mut kept).unwrap();
    assert_eq!(kept.iter().filter(|byte| **byte == b'\n').count(), 1 + 7 + 4 + 2);
    assert!(kept.starts_with(br#"{"head":{"format":1,"seed":7,"program":"checker_tests"}}"#));
    assert_eq!(History::read_json_lines(&kept[..]).unwrap(), history);
}

/// `good`, with faults that were over at 35, and a receipt is due within `within`.
fn healed(within: Micros) -> (History, Vec<Record>) {
    let (mut history, log) = good();
    history.healed.push(Healed { at: 35, within });
    (history, log)
}

#[test]
fn after_the_faults_a_receipt_in_time_passes_and_a_late_one_not() {
    let (history, log) = healed(15);
    assert_eq!(check(&history, &log), []);
    let (history, log) = healed(14);
    assert_eq!(check(&history, &log), [Violation::Stalled { healed: 35, within: 14 }]);
}

#[test]
fn a_repeat_after_the_faults_that_gets_no_receipt_is_caught() {
    let (mut history, log) = healed(15);
    history.attempts.push(attempt("c", "kc", [36, 37], Outcome::NotStored));
    let expected = Violation::Unresolved { message: "c".to_owned() };
    assert_eq!(check(&history, &log), [expected]);
    history.attempts.push(attempt("c", "kc", [38, 39], Outcome::Refused));
    assert_eq!(check(&history, &log), [], "it was turned down");
}

#[test]
fn use_above_its_cap_is_caught() {
    let (service, what) = ("facade-service".to_owned(), "threads".to_owned());
    let peak = Peak { service, what, found: 64, cap: 64 };
    let (mut history, log) = good();
    history.peaks.push(peak.clone());
    assert_eq!(check(&history, &log), []);
    let above = Peak { found: 65, ..peak };
    caught(|history, _| history.peaks.push(above.clone()), &Violation::Unbounded(above.clone()));
}

#[test]
fn a_whole_read_that_is_no_prefix_names_the_mark_that_differs() {
    let log: Vec<_> = (1..=5000).map(|at| record(at, &format!("id {at}"), "m")).collect();
    let mut other = log.clone();
    other[4200].message.push('!');
    let read = |shown| Read { began: 0, ended: 1, complete: true, shown };
    let reads = vec![read(Shown::from(&other[..4900])), read(Shown::from(&log[..4900]))];
    let history = History { reads, ..History::default() };
    let broken = verdict(&history, &log, Scope::WholeLog).violations;
    let prefixes: Vec<_> =
        broken.iter().filter(|broken| matches!(broken, Violation::NotAPrefix { .. })).collect();
    assert_eq!(prefixes, [&Violation::NotAPrefix { sequence: 4900 }]);
}
