//! A directory that is removed, moved or taken while its journal is in use.

use logging_service::store::{
    CommitAnswer, CommitError, Orphaned, Refusal, Store,
    journal::{
        Journal,
        disk::{Fault, Removal, SimulatedDisk},
    },
};

use crate::helper::*;

/// The last segment.
fn active_segment(disk: &SimulatedDisk) -> String {
    let (name, _) = disk.contents().pop().unwrap();
    name
}

/// What is said, and what was done to the disk.
type Removed = (&'static str, fn(&SimulatedDisk));

/// Everything that can become of the place of a journal, and what is said about it.
fn removals() -> [Removed; 5] {
    [
        ("data directory was removed", |disk| disk.remove_from_outside(Removal::Directory)),
        ("lock file was removed", |disk| disk.remove_from_outside(Removal::LockFile)),
        ("cannot be seen", |disk| disk.remove_from_outside(Removal::Unknown)),
        (".segment was removed", |disk| disk.delete(&active_segment(disk))),
        (".segment was removed", |disk| {
            let name = active_segment(disk);
            let copy = disk.read(&name).unwrap();
            disk.delete(&name);
            disk.put(&name, &copy);
        }),
    ]
}

/// A journal of some segments, whose last frame may be sealed.
fn journal_in_use(sealed: bool) -> (SimulatedDisk, Journal) {
    let (disk, mut journal) = new_journal();
    for n in 1..=60 {
        commit(&mut journal, n..=n).unwrap();
    }
    if sealed {
        journal.seal().unwrap();
    }
    (disk, journal)
}

#[test]
fn nothing_is_written_where_no_start_would_find_it() {
    for (expected, remove) in removals() {
        let (disk, mut journal) = journal_in_use(false);
        remove(&disk);
        let before = disk.contents();
        let answer = Store::commit(&mut journal, &messages(61..=61), time(61));
        let CommitAnswer::Refused(Refusal::Orphaned(Orphaned { reason, remedy })) = answer else {
            panic!("{expected}: {answer:?}")
        };
        assert!(reason.contains(expected) && !remedy.is_empty(), "{reason}. {remedy}");
        // Whatever is tried next, and although the files may be back.
        disk.put_back();
        assert!(matches!(journal.seal(), Err(CommitError::Orphaned(_))));
        assert!(matches!(journal.probe_space(), Err(CommitError::Orphaned(_))));
        assert_eq!(journal.check_place().unwrap_err().reason, reason);
        assert_eq!(disk.contents(), before, "something was written");
        assert_eq!(read_all(&journal).len(), 60, "reads do not go on");
    }
}

#[test]
fn a_stop_is_not_clean_where_no_start_would_find_the_log() {
    for sealed in [false, true] {
        for (expected, remove) in removals() {
            let (disk, mut journal) = journal_in_use(sealed);
            remove(&disk);
            let error = journal.seal().unwrap_err();
            assert!(matches!(error, CommitError::Orphaned(_)), "{error:?}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}

#[test]
fn a_batch_written_during_the_removal_is_not_acknowledged() {
    for (expected, remove) in removals() {
        let (disk, mut journal) = journal_in_use(false);
        let held = disk.hold_syncs();
        let writing = std::thread::spawn(move || {
            let answer = Store::commit(&mut journal, &messages(61..=61), time(61));
            (answer, journal)
        });
        held.wait_for_one();
        remove(&disk);
        drop(held);
        let (answer, mut journal) = writing.join().unwrap();
        // Somebody may save the file that it is in.
        let CommitAnswer::Unknown(reason) = answer else { panic!("{expected}: {answer:?}") };
        assert!(reason.contains(expected), "{reason}");
        assert_eq!((read_all(&journal).len(), journal.last_sequence()), (60, 60));
        let answer = Store::commit(&mut journal, &messages(62..=62), time(62));
        assert!(matches!(answer, CommitAnswer::Refused(Refusal::Orphaned(_))), "{answer:?}");
    }
}

#[test]
fn a_failure_where_the_files_are_gone_is_not_the_disk() {
    let (disk, mut journal) = journal_in_use(false);
    let held = disk.hold_syncs();
    let writing = std::thread::spawn(move || commit(&mut journal, 61..=61));
    held.wait_for_one();
    disk.remove_from_outside(Removal::Directory);
    disk.inject(0, Fault::Fail(std::io::ErrorKind::NotFound));
    drop(held);
    let answer = writing.join().unwrap();
    assert!(!disk.fault_is_pending(), "the sync did not fail");
    assert!(matches!(answer, Err(CommitError::WrittenToOrphan(_))), "{answer:?}");
}

#[test]
fn each_segment_is_missed_soon_whichever_is_removed() {
    let (disk, journal) = journal_in_use(true);
    let segments: Vec<_> = disk.contents().into_iter().map(|(name, _)| name).collect();
    assert!(segments.len() > 3, "{segments:?}");
    drop(journal);
    for name in segments {
        let disk = disk.snapshot();
        // Known from its start, or written by this process.
        let mut reopened = open(&disk).unwrap().journal;
        reopened.check_place().unwrap();
        disk.delete(&name);
        let orphaned = reopened.check_place().unwrap_err();
        assert!(orphaned.reason.contains(&name), "{orphaned}");
    }
    let (disk, mut journal) = journal_in_use(false);
    disk.delete(FIRST_SEGMENT);
    commit(&mut journal, 61..=61).unwrap();
    assert!(journal.check_place().unwrap_err().reason.contains(FIRST_SEGMENT));
}

#[test]
fn a_new_segment_is_not_begun_where_no_start_would_find_it() {
    let (disk, mut journal) = journal_in_use(true);
    let before = disk.contents();
    disk.remove_from_outside(Removal::Directory);
    let large = message_of(61, 1900);
    let refused = journal.commit(&[large], time(61));
    assert!(matches!(refused, Err(CommitError::Orphaned(_))), "{refused:?}");
    assert_eq!(disk.contents(), before);
}
