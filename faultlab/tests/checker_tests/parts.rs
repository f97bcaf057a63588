//! A log that others write to: only the records of the run are kept.

use super::*;

/// Two messages of a run, one of them repeated, at these places of a log.
fn shared(sequences: [u64; 2]) -> Vec<Violation> {
    let [first, second] = sequences;
    let attempts = vec![
        attempt("a", "ka", [0, 20], ok("A", first)),
        attempt("b", "kb", [0, 20], ok("B", second)),
        attempt("a", "ka", [21, 22], replayed("A", first)),
    ];
    let history = History { attempts, ..History::default() };
    let log = [record(first, "A", "a"), record(second, "B", "b")];
    let head = Head { part: true, ..Head::new(1, "checker_tests") };
    let agreed = agreed(&head, &history, &log);
    assert_eq!(agreed, verdict(&history, &log, Scope::OwnRecords));
    agreed.violations
}

#[test]
fn records_of_others_are_no_gap_and_no_outcome_need_be_unknown() {
    assert_eq!(shared([3, 9]), []);
}

#[test]
fn the_order_of_a_part_is_checked_all_the_same() {
    assert_eq!(shared([9, 3]), [Violation::Gap { expected: 10, found: 3 }]);
    assert_eq!(shared([3, 3]), [Violation::Gap { expected: 4, found: 3 }]);
    assert_eq!(shared([0, 3]), [Violation::Gap { expected: 1, found: 0 }]);
}

#[test]
fn a_part_without_repeats_proves_nothing() {
    let attempts = vec![attempt("a", "", [0, 20], ok("A", 7))];
    let history = History { attempts, ..History::default() };
    let head = Head { part: true, ..Head::new(1, "checker_tests") };
    let agreed = agreed(&head, &history, &[record(7, "A", "a")]);
    assert_eq!(agreed.violations, [Violation::Vacuous { unknown: 0, absorbed: 0 }]);
}
