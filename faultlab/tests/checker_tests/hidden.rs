//! Wrong answers that a later right one covers up: the client repeats, and all seems well.

use super::*;

/// `good` without what was read of it, and `f`, which was surely not stored, and is repeated at 60.
fn repeated(repeat: Outcome) -> (History, Vec<Record>) {
    let (History { mut attempts, .. }, log) = good();
    attempts.push(attempt("f", "kf", [7, 8], Outcome::NotStored));
    attempts.push(attempt("f", "kf", [60, 70], repeat));
    (History { attempts, ..History::default() }, log)
}

#[test]
fn a_replay_of_what_was_surely_not_stored_is_caught() {
    let (mut history, mut log) = repeated(replayed("F", 4));
    log.push(record(4, "F", "f"));
    let expected = Violation::ReplayOfNothing { message: "f".to_owned() };
    assert_eq!(check(&history, &log), [expected]);
    history.attempts[7].outcome = Outcome::Unknown;
    assert_eq!(check(&history, &log), [], "then it may have been stored");
}

#[test]
fn a_not_stored_message_present_before_its_repeat_is_caught() {
    let (mut history, mut log) = repeated(ok("F", 3));
    // `e` has its receipt at 50, and `f` is before it.
    log.insert(2, record(3, "F", "f"));
    log[3].sequence = 4;
    history.attempts[6].outcome = ok("E", 4);
    let (acknowledged, sent_later) = ("e".to_owned(), "f".to_owned());
    assert_eq!(check(&history, &log), [Violation::OutOfOrder { acknowledged, sent_later }]);
    history.attempts[7].outcome = Outcome::Unknown;
    assert_eq!(check(&history, &log), [], "then it may have been stored");
}

#[test]
fn a_conflict_without_another_message_is_caught() {
    let (mut history, log) = good();
    history.attempts.push(attempt("c", "kc", [32, 33], Outcome::Conflict));
    let expected = || Violation::FalseConflict { message: "c".to_owned() };
    assert_eq!(check(&history, &log), [expected()]);
    // Nor is it one with what was surely not stored under that key.
    history.attempts.push(attempt("d", "kc", [34, 35], Outcome::NotStored));
    assert_eq!(check(&history, &log), [expected()]);
    history.attempts.push(attempt("f", "kc", [34, 35], Outcome::Unknown));
    assert_eq!(check(&history, &log), []);
}

#[test]
fn a_stored_message_refused_as_invalid_is_caught() {
    let (mut history, log) = good();
    history.attempts.push(attempt("a", "ka", [60, 61], Outcome::Refused));
    let expected = Violation::FalseRefusal { message: "a".to_owned() };
    assert_eq!(check(&history, &log), [expected]);
}

#[test]
fn the_id_of_a_message_without_a_key_is_a_key_that_has_an_owner() {
    let (mut history, log) = good();
    history.attempts.push(attempt("c", "E", [60, 61], Outcome::Conflict));
    assert_eq!(check(&history, &log), []);
    let expected = Violation::FalseConflict { message: "e".to_owned() };
    history.attempts.push(attempt("e", "E", [62, 63], Outcome::Conflict));
    assert_eq!(check(&history, &log), [expected]);
}

#[test]
fn a_repeat_alone_is_no_progress() {
    let (mut history, log) = healed(15);
    history.attempts[6].outcome = Outcome::Unknown;
    history.attempts.push(attempt("a", "ka", [36, 40], replayed("A", 1)));
    assert_eq!(check(&history, &log), [Violation::Stalled { healed: 35, within: 15 }]);
}

#[test]
fn what_was_looked_up_and_is_missing_later_is_caught() {
    let found = |history: &mut History, began| {
        let record = Some(record(2, "B", "b"));
        history.lookups.push(Lookup {
            uuid: "B".to_owned(),
            began,
            ended: began + 1,
            found: record,
        });
    };
    let expected = || Violation::Vanished { uuid: "B".to_owned() };
    let (mut history, log) = good();
    found(&mut history, 14);
    let nothing = Lookup { uuid: "B".to_owned(), began: 16, ended: 17, found: None };
    history.lookups.push(nothing.clone());
    assert_eq!(check(&history, &log), [expected()], "by a lookup");

    let (mut history, log) = good();
    found(&mut history, 14);
    let shown = log[..1].into();
    history.reads.push(Read { began: 16, ended: 17, complete: true, shown });
    assert_eq!(check(&history, &log), [expected()], "by a read");

    let (mut history, log) = good();
    let shown = log[..2].into();
    history.reads.push(Read { began: 14, ended: 15, complete: false, shown });
    history.lookups.push(nothing);
    assert_eq!(check(&history, &log), [expected()], "by a lookup after a read");
}
