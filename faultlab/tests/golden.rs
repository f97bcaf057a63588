//! A run that was kept once is checked as it was then, however the checkers have changed since.
//!
//! `golden/format-1` was kept by `oncelog prove`: `kept` with a journal, `forgotten` with a store that
//! forgets. `golden/format-0/kept` is the same run as the format before had it. They are never written
//! again.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use faultlab::{
    checker::{Account, SecondChecker, Verdict},
    history::{History, Kept},
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// What both checkers say.
fn agreed(name: &str) -> Verdict {
    SecondChecker::start().unwrap().agreed(&golden(name)).unwrap()
}

fn broken(verdict: &Verdict) -> Vec<&'static str> {
    verdict.broken().into_iter().map(|broken| broken.id()).collect()
}

#[test]
fn a_good_run_of_each_format_is_still_found_good() {
    let expected = Account {
        attempts: 64,
        messages: 49,
        acknowledged: 44,
        absorbed: 9,
        not_stored: 6,
        unknown: 1,
        conflicts: 3,
        refused: 1,
        uncertain: 1,
        resolved: 1,
        stored: 44,
        ..Account::default()
    };
    for format in ["format-0/kept", "format-1/kept"] {
        let verdict = agreed(format);
        assert_eq!(verdict.violations, [], "{format}");
        assert_eq!(verdict.account, expected, "{format}");
    }
}

#[test]
fn a_run_of_a_store_that_forgot_is_still_found_broken() {
    let verdict = agreed("format-1/forgotten");
    assert_eq!(broken(&verdict), ["I1", "I5", "I8", "I9", "I12"]);
    let expected = Account {
        attempts: 126,
        messages: 93,
        acknowledged: 88,
        absorbed: 24,
        not_stored: 9,
        unknown: 1,
        conflicts: 2,
        refused: 2,
        uncertain: 1,
        resolved: 1,
        ..Account::default()
    };
    assert_eq!(verdict.account, expected);
}

/// An altered record in a run of each format is still noticed.
#[test]
fn a_spoiled_log_of_each_format_is_still_noticed() {
    for (format, file) in [("format-0/kept", "log.json"), ("format-1/kept", "log.jsonl")] {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(golden(format).join("history.jsonl"), dir.path().join("history.jsonl")).unwrap();
        let log = fs::read_to_string(golden(format).join(file)).unwrap();
        let spoiled = log.replacen("client 0 message 0\"", "client 0 message zero\"", 1);
        assert_ne!(log, spoiled);
        fs::write(dir.path().join(file), spoiled).unwrap();
        let verdict = SecondChecker::start().unwrap().agreed(dir.path()).unwrap();
        assert_eq!(broken(&verdict), ["I1", "I3", "I4", "I8"], "{format}");
    }
}

#[test]
fn a_newer_format_and_a_bad_line_are_refused_by_both_checkers() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log.jsonl"), "").unwrap();
    for (line, reason) in [
        (r#"{"head":{"format":2,"seed":1,"program":"later"}}"#, "format 2 is newer than 1"),
        (r#"{"attempt":{"message":"m"}}"#, "line 1: missing field"),
        (r#"{"rumour":{}}"#, "line 1: unknown variant"),
    ] {
        fs::write(dir.path().join("history.jsonl"), format!("{line}\n")).unwrap();
        let mut events = Kept::new(dir.path()).events().unwrap();
        let error = events.next().unwrap().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(History::read_json_lines(format!("{line}\n").as_bytes()).is_err());
        assert!(SecondChecker::start().unwrap().verdict(dir.path()).is_err(), "{line}");
    }
}

#[test]
fn the_command_prints_what_is_broken_and_says_it_with_its_code() {
    let check = |dir: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_faultlab")).arg("check").arg(dir).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = check(&golden("format-1/kept"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("nothing broken") && text.contains("acknowledged"), "{text}");
    let (code, text) = check(&golden("format-1/forgotten"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("\nI1 no acknowledged loss: Lost {"), "{text}");
    assert!(text.ends_with("broken: I1 I5 I8 I9 I12\n"), "{text}");
    let nowhere = tempfile::tempdir().unwrap();
    assert_eq!(check(nowhere.path()).0, Some(2));
    let nothing = nowhere.path();
    fs::write(nothing.join("history.jsonl"), "").unwrap();
    fs::write(nothing.join("log.jsonl"), "").unwrap();
    assert_eq!(check(nothing), (Some(2), check(nothing).1));
    assert!(check(nothing).1.contains("nothing tested"));
}
