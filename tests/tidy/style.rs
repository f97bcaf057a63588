//! Text that must not stay, and the names of tests.

use crate::{code::tests, tree::files};

/// Assembled, so that this file does not break its own rule.
fn forbidden() -> [String; 4] {
    let join = |parts: [&str; 2]| parts.concat();
    [join(["FIX", "ME"]), join(["XX", "X"]), join(["#[ign", "ore"]), join(["#[should_", "panic"])]
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
        for (line, name) in tests(&source.text) {
            let is_sentence = name.split('_').count() >= 3 && !name.starts_with("test_");
            assert!(is_sentence, "{}:{line}: {name}", source.path);
        }
    }
}
