//! `oncelog journal` on journals that are sound, damaged, in use or not there.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{fs, path::Path, sync::Arc, time::UNIX_EPOCH};

use logging_service::store::{
    Store as _,
    journal::{Journal, Options, disk::RealDisk},
};
use oncelog::message::{ContentType, IdSource as _, Message, RandomIds, StreamName};
use support::{run, stderr, stdout};

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

#[test]
fn a_directory_that_is_not_there_is_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let output = run(&["journal", "verify", "--data-dir", missing.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(74));
    assert!(stderr(&output).contains("missing"), "{}", stderr(&output));
    assert!(!missing.exists());
}
