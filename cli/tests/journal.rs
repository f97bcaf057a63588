//! `oncelog journal` on journals that are sound, damaged, in use or not there.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use logging_service::store::{
    Store as _,
    journal::{Journal, Options, disk::RealDisk},
};
use oncelog::message::{ContentType, IdSource as _, Message, RandomIds, StreamName};
use support::{oncelog, run, stderr, stdout};

const SEGMENT: &str = "00000000000000000001.segment";

fn open(dir: &Path) -> Journal {
    let disk = Arc::new(RealDisk::open(dir).unwrap());
    let options = Options { segment_bytes: 64 * 1024, ..Options::default() };
    Journal::open(disk, options, &mut |_, _| {}, &mut |_| {}).unwrap()
}

/// A closed journal with three records, each in a frame of its own.
fn journal(dir: &Path) {
    let mut journal = open(dir);
    for body in ["first", "second", "third"] {
        let message = Message {
            id: RandomIds.next_id(),
            stream: StreamName::facade(),
            content_type: ContentType::text(),
            body: body.into(),
        };
        journal.commit(&[message], UNIX_EPOCH).unwrap();
    }
    journal.seal().unwrap();
}

/// Changes one byte of the body of the second record.
fn damage(dir: &Path) {
    let path = dir.join(SEGMENT);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(6).position(|window| window == b"second").unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_journal_is_verified_and_needs_no_repair() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path());
    let flags = ["--data-dir", dir.path().to_str().unwrap()];
    let verified = run(&[&["journal", "verify"], &flags[..]].concat());
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
    assert!(stdout(&verified).contains("3 records"), "{}", stdout(&verified));
    assert!(stdout(&verified).ends_with("The journal is sound.\n"), "{}", stdout(&verified));
    assert_eq!(stderr(&verified), "", "a progress bar without a terminal");
    let repaired = run(&[&["journal", "repair"], &flags[..]].concat());
    assert_eq!(repaired.status.code(), Some(0), "{}", stderr(&repaired));
}

#[test]
fn a_repair_needs_consent_and_keeps_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path());
    damage(dir.path());
    let damaged = fs::read(dir.path().join(SEGMENT)).unwrap();
    let flags = ["--data-dir", dir.path().to_str().unwrap()];

    let verified = run(&[&["journal", "verify"], &flags[..]].concat());
    assert_eq!(verified.status.code(), Some(65));
    assert!(stdout(&verified).contains(SEGMENT), "{}", stdout(&verified));
    let unasked = run(&[&["journal", "repair"], &flags[..]].concat());
    assert_eq!(unasked.status.code(), Some(65));
    assert!(stderr(&unasked).contains("--yes"), "{}", stderr(&unasked));
    assert!(fs::read(dir.path().join(SEGMENT)).unwrap() == damaged, "it changed something");

    let repaired = run(&[&["journal", "repair", "--yes"], &flags[..]].concat());
    assert_eq!(repaired.status.code(), Some(0), "{}", stderr(&repaired));
    let backups: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("backup"))
        .collect();
    assert_eq!(backups.len(), 1, "{backups:?}");
    assert!(fs::read(&backups[0]).unwrap() == damaged, "the backup is not what was there");

    let verified = run(&[&["journal", "verify"], &flags[..]].concat());
    assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));
    assert!(
        stdout(&verified).contains("2 records, the last sequence is 3"),
        "{}",
        stdout(&verified)
    );
}

#[test]
fn a_repair_does_not_depend_on_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path());
    damage(dir.path());
    let damaged = fs::read(dir.path().join(SEGMENT)).unwrap();
    // The clock was set back by a minute since an earlier repair.
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    for second in now..now + 60 {
        fs::write(dir.path().join(format!("{SEGMENT}.backup-{second}")), b"earlier").unwrap();
    }
    for _ in 0..2 {
        fs::write(dir.path().join(SEGMENT), &damaged).unwrap();
        let flags = ["--yes", "--data-dir", dir.path().to_str().unwrap()];
        let repaired = run(&[&["journal", "repair"], &flags[..]].concat());
        assert_eq!(repaired.status.code(), Some(0), "{}", stderr(&repaired));
    }
}

#[test]
fn a_journal_in_use_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let _in_use = open(dir.path());
    for command in [&["journal", "verify"][..], &["journal", "repair", "--yes"]] {
        let output = run(&[command, &["--data-dir", dir.path().to_str().unwrap()]].concat());
        assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
        assert!(stderr(&output).contains("in use by another process"), "{}", stderr(&output));
    }
}

/// Everything below `path`: what it is, when it was changed, and what is in it.
fn snapshot(path: &Path) -> Vec<(PathBuf, SystemTime, Vec<u8>)> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Vec::new() };
    let content = if metadata.is_file() { fs::read(path).unwrap() } else { Vec::new() };
    let mut found = vec![(path.to_path_buf(), metadata.modified().unwrap(), content)];
    if metadata.is_dir() {
        let mut paths: Vec<_> =
            fs::read_dir(path).unwrap().map(|one| one.unwrap().path()).collect();
        paths.sort();
        found.extend(paths.iter().flat_map(|path| snapshot(path)));
    }
    found
}

/// Runs `command` on `dir`, which it must leave as it is, and returns the exit code and standard error.
fn looked_at(command: &[&str], dir: &Path) -> (Option<i32>, String) {
    let before = snapshot(dir);
    let output = run(&[command, &["--data-dir", dir.to_str().unwrap()]].concat());
    assert!(snapshot(dir) == before, "{command:?} changed {}", dir.display());
    if output.status.code() == Some(66) {
        assert_eq!(stdout(&output), "", "it claims something of what is not there");
    }
    (output.status.code(), stderr(&output))
}

#[test]
fn where_no_journal_is_none_is_called_sound_and_none_begins() {
    let scratch = tempfile::tempdir().unwrap();
    let place = |name: &str| scratch.path().join(name);
    for dir in ["empty", "other-files", "locked-once"] {
        fs::create_dir(place(dir)).unwrap();
    }
    fs::write(place("other-files").join("notes.txt"), "no segment").unwrap();
    fs::create_dir(place("other-files").join("logging")).unwrap();
    fs::write(place("locked-once").join("LOCK"), "1\n").unwrap();
    fs::write(place("a-file"), "no directory").unwrap();
    for name in ["empty", "other-files", "locked-once", "a-file", "missing", "a-file/below"] {
        for command in [&["journal", "verify"][..], &["journal", "repair", "--yes"]] {
            let (code, said) = looked_at(command, &place(name));
            assert_eq!(code, Some(66), "{name}: {said}");
            assert!(said.contains(name) && said.contains("LOGGING_DATA_DIR"), "{said}");
        }
    }
    assert!(!place("missing").exists());
}

#[test]
fn a_journal_is_verified_without_a_write_whatever_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let verify = &["journal", "verify"][..];
    let in_use = open(dir.path());
    assert_eq!(looked_at(verify, dir.path()).0, Some(75));
    drop(in_use);
    assert_eq!(looked_at(verify, dir.path()).0, Some(0), "an empty journal is one");
    journal(dir.path());
    assert_eq!(looked_at(verify, dir.path()).0, Some(0));
    // As a copy has it that no service was ever started on.
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    assert_eq!(looked_at(verify, dir.path()).0, Some(0));
    damage(dir.path());
    assert_eq!(looked_at(verify, dir.path()).0, Some(65));
}

#[test]
fn a_report_that_cannot_be_printed_names_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    journal(dir.path());
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = oncelog();
    command.args(["journal", "verify", "--data-dir"]).arg(dir.path());
    let verified = command.stdout(full).output().unwrap();
    assert_eq!(verified.status.code(), Some(74));
    let told = stderr(&verified);
    assert!(told.starts_with("cannot write to standard output: No space left"), "{told}");
}
