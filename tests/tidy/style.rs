//! Text that must not stay, and the names of tests.

use crate::tree::files;

/// The tests of a source file: the line of each, from 1, and its name.
pub(crate) fn tests(text: &str) -> Vec<(usize, &str)> {
    let mut tests = Vec::new();
    let mut is_test = false;
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.split('(').next().filter(|name| !name.starts_with('$'));
            tests.extend(name.map(|name| (number, name)));
            is_test = false;
        }
    }
    tests
}

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

#[test]
fn tests_are_found_with_their_names() {
    let text = "#[test]\n// why\nfn one() {}\nfn two() {}\n    #[tokio::test(flavor = \"x\")]\n    \
                #[allow(dead_code)]\n    async fn three() {\n    }\n";
    assert_eq!(tests(text), [(3, "one"), (7, "three")]);
}
