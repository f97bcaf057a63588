//! Words that must not stay.

use crate::tree::files;

/// Assembled, so that this file does not break its own rule.
fn forbidden() -> [String; 7] {
    let join = |parts: [&str; 2]| parts.concat();
    [
        join(["FIX", "ME"]),
        join(["XX", "X"]),
        join(["todo", "!("]),
        join(["unimplemented", "!("]),
        join(["dbg", "!("]),
        join(["#[ign", "ore"]),
        join(["#[should_", "panic"]),
    ]
}

#[test]
fn nothing_is_left_for_later_and_no_test_is_switched_off() {
    for source in files(".rs") {
        for (number, line) in (1..).zip(source.text.lines()) {
            for word in forbidden() {
                assert!(!line.contains(&word), "{}:{number}: {word}", source.path);
            }
        }
    }
}

#[test]
fn every_test_is_named_as_a_sentence() {
    for source in files(".rs") {
        for test in crate::code::functions(&source.text).into_iter().filter(|test| test.is_test) {
            let words = test.name.split('_').count();
            let is_sentence = words >= 3 && !test.name.starts_with("test_");
            assert!(is_sentence, "{}:{}: {}", source.path, test.line, test.name);
        }
    }
}
