//! `oncelog prove` finds what is true, and what is not.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use faultlab::checker::{Invariant, SecondChecker};

use self::support::{figure, oncelog, stderr, stdout};

/// A run of a few seconds in a directory of its own.
fn prove(dir: &Path, args: &[&str]) -> Output {
    let mut command = oncelog();
    command.arg("prove").args(args).current_dir(dir).env("TMPDIR", dir);
    command.output().unwrap()
}

fn kept(dir: &Path) -> Vec<PathBuf> {
    let entries = dir.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

#[test]
fn the_journal_keeps_its_promises_under_faults_of_every_kind() {
    let dir = tempfile::tempdir().unwrap();
    let output = prove(dir.path(), &["--seed=7", "--duration=6s", "--clients=8", "--keep=kept"]);
    let table = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{table}{}", stderr(&output));
    assert!(table.starts_with("seed 7\ndata in "), "{table}");
    for name in ["lost", "doubled", "reordered", "untrue or missing answers"] {
        assert_eq!(figure(&table, name), 0, "{table}");
    }
    for name in ["acknowledged", "outcome unknown at first", "repeats absorbed", "faults"] {
        assert!(figure(&table, name) > 0, "{name}: {table}");
    }
    assert_eq!(figure(&table, "above their cap"), 0, "{table}");
    let page = std::fs::read_to_string(dir.path().join("oncelog-prove.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("Every acknowledged message is stored"));
    // The kept run is checked again, by two checkers.
    let kept_run = dir.path().join("kept");
    assert_eq!(kept(dir.path()), [&*kept_run], "something else was left behind");
    let verdict = SecondChecker::start().unwrap().agreed(&kept_run).unwrap();
    assert_eq!(verdict.violations, []);
    assert_eq!(verdict.account.acknowledged, figure(&table, "acknowledged"));
    assert!(kept_run.join("logging-service.log").is_file() && kept_run.join("logging").is_dir());
}

#[test]
fn a_store_that_forgets_is_caught_and_the_evidence_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--seed=1", "--duration=3s", "--clients=4", "--faults=kill", "--store=memory"];
    let output = prove(dir.path(), &args);
    let table = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{table}{}", stderr(&output));
    assert!(figure(&table, "lost") > 0, "{table}");
    assert!(table.contains("A PROMISE WAS BROKEN"), "{table}");
    assert!(stderr(&output).contains("broken: I1"), "{}", stderr(&output));
    let [evidence] = &kept(dir.path())[..] else { panic!("not one directory is kept") };
    assert!(stderr(&output).contains(evidence.to_str().unwrap()), "{}", stderr(&output));
    for file in
        ["history.jsonl", "log.jsonl", "faults.txt", "logging-service.log", "facade-service.log"]
    {
        assert!(evidence.join(file).is_file(), "{file} is not kept");
    }
    let verdict = SecondChecker::start().unwrap().agreed(evidence).unwrap();
    assert!(verdict.broken().contains(&Invariant::I1), "{verdict:?}");
}

#[test]
fn data_is_in_the_given_directory_with_a_warning_if_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let run = ["--seed=1", "--duration=90ms", "--clients=1", "--dir"];
    let output = prove(dir.path(), &[&run[..], &["/dev/shm"]].concat());
    let text = stdout(&output);
    assert!(text.contains("\ndata in /dev/shm/oncelog-prove-"), "{text}");
    assert!(text.contains("in memory, where a sync costs nothing: --dir takes"), "{text}");
    // An empty variable is an unset one, and not the working directory.
    let mut unset = oncelog();
    unset.arg("prove").args(&run[..3]).current_dir(dir.path()).env("TMPDIR", "");
    let text = stdout(&unset.output().unwrap());
    assert!(text.contains("\ndata in /tmp/oncelog-prove-"), "{text}");
    let output = prove(dir.path(), &[&run[..], &["missing"]].concat());
    assert_eq!(output.status.code(), Some(74), "{}", stderr(&output));
    assert!(stderr(&output).contains("no directory for the run: missing"), "{}", stderr(&output));
}

#[test]
fn a_run_that_tested_nothing_is_not_called_good() {
    let dir = tempfile::tempdir().unwrap();
    // Over before the first fault.
    let run = ["--seed=1", "--duration=90ms", "--clients=1"];
    let output = prove(dir.path(), &run);
    assert_eq!(output.status.code(), Some(2), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("This run shows nothing"), "{}", stdout(&output));
    assert_eq!(kept(dir.path()), Vec::<PathBuf>::new(), "something was left behind");
}

#[test]
fn every_wrong_flag_is_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let wrong =
        ["--duration=0s", "--clients=x", "--rate=fast", "--faults=kill,lightning", "--store=tape"];
    let output = prove(dir.path(), &wrong);
    assert_eq!(output.status.code(), Some(64));
    for part in [
        "--duration \"0s\"",
        "--clients \"x\"",
        "--rate \"fast\"",
        "\"lightning\" is no fault",
        "\"tape\"",
    ] {
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn a_run_is_never_kept_over_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let output = prove(dir.path(), &["--keep=."]);
    assert_eq!(output.status.code(), Some(74), "{}", stderr(&output));
    assert!(stderr(&output).contains("no directory for the run: ."), "{}", stderr(&output));
}
