//! Disks that fail or fill up.

use std::io;

use logging_service::store::{
    CommitError, Store as _,
    journal::{
        OpenError,
        disk::{Disk as _, Fault, SimulatedDisk},
    },
};

use crate::{
    helper::*,
    workload::{Ended, Promised, run, run_with_space},
};

#[test]
fn after_any_failure_nothing_succeeds_until_the_journal_reopens() {
    for n in 0.. {
        let disk = SimulatedDisk::new();
        let mut promised = Promised::default();
        disk.inject(n, Fault::Fail(io::ErrorKind::Other));
        match run_with_space(&disk, &mut promised) {
            Ok(()) => return assert!(disk.fault_is_pending(), "failure {n} went unnoticed"),
            Err(Ended::NotOpened) => {}
            Err(Ended::Failed(mut opened)) => {
                let next = promised.stored.len() as u64 + 1;
                let journal = &mut opened.journal;
                let failed = |result| matches!(result, Err(CommitError::Failed(_)));
                assert!(failed(commit(journal, next..=next).map(drop)));
                assert!(failed(journal.seal()));
                assert!(failed(journal.probe_space()));
                assert_eq!(read_all(journal).len(), promised.stored.len());
            }
        }
        // Twice: what a recovery has told must survive the crash after it, although the disk
        // forgot what it did not sync, and said that all was well when it was asked again.
        promised.recover(&disk);
        for seed in [0, n] {
            disk.crash(seed);
            promised.recover(&disk);
        }
    }
}

#[test]
fn a_failure_followed_by_a_crash_loses_nothing_that_was_acknowledged() {
    for n in 0.. {
        for seed in 0..4 {
            let disk = SimulatedDisk::new();
            let mut promised = Promised::default();
            disk.inject(n, Fault::Fail(io::ErrorKind::Other));
            if run_with_space(&disk, &mut promised).is_ok() {
                return;
            }
            disk.crash(seed);
            promised.recover(&disk);
        }
    }
}

#[test]
fn a_full_disk_refuses_a_batch_and_goes_on_once_there_is_space() {
    let mut refused = 0;
    for capacity in (2048..16 * 1024).step_by(50) {
        let disk = SimulatedDisk::new();
        disk.set_capacity(Some(capacity));
        let mut promised = Promised::default();
        run(&disk, &mut promised, &mut || {
            refused += 1;
            disk.set_capacity(None);
        })
        .unwrap();
        assert_eq!(promised.stored.len(), 45);
        disk.crash(capacity);
        promised.recover(&disk);
    }
    assert!(refused > 50, "only {refused} refusals");
}

#[test]
fn no_space_at_any_operation_is_refused_or_fatal_and_never_a_loss() {
    no_space_of_kind(io::ErrorKind::StorageFull);
}

#[test]
fn no_quota_at_any_operation_is_refused_or_fatal_and_never_a_loss() {
    no_space_of_kind(io::ErrorKind::QuotaExceeded);
}

fn no_space_of_kind(kind: io::ErrorKind) {
    let mut refused = 0;
    for n in 0.. {
        let disk = SimulatedDisk::new();
        let mut promised = Promised::default();
        disk.inject(n, Fault::Fail(kind));
        let ended = run(&disk, &mut promised, &mut || refused += 1);
        if disk.fault_is_pending() {
            break;
        }
        if ended.is_ok() {
            assert_eq!(promised.stored.len(), 45);
        }
        drop(ended);
        promised.recover(&disk);
        disk.crash(n);
        promised.recover(&disk);
    }
    assert!(refused > 10, "only {refused} refusals");
}

#[test]
fn a_probe_for_space_fails_while_there_is_none() {
    let (disk, mut journal) = new_journal();
    disk.set_capacity(Some(2048));
    let refused = loop {
        let next = journal.last_sequence() + 1;
        if let Err(error) = commit(&mut journal, next..=next) {
            break error;
        }
    };
    assert!(matches!(refused, CommitError::NoSpace(_)), "{refused}");
    assert!(matches!(journal.probe_space(), Err(CommitError::NoSpace(_))));
    let names = disk.list().unwrap();
    assert_eq!(names, [FIRST_SEGMENT], "incomplete files are left");
    disk.set_capacity(None);
    journal.probe_space().unwrap();
    let next = journal.last_sequence() + 1;
    assert_eq!(commit(&mut journal, next..=next).unwrap().first_sequence, next);
}

#[test]
fn a_seal_that_finds_no_space_does_no_harm() {
    let (disk, mut journal) = new_journal();
    disk.set_capacity(Some(2048));
    // 64 bytes of segment header, and a frame that leaves no space for a seal.
    let big = message_of(1, 2048 - 64 - 68 - 65);
    journal.commit(&[big], time(1)).unwrap();
    assert!(matches!(journal.seal(), Err(CommitError::NoSpace(_))));
    disk.set_capacity(None);
    commit(&mut journal, 2..=2).unwrap();
    journal.seal().unwrap();
    drop(journal);
    assert_eq!(open(&disk).unwrap().records.len(), 2);
}

#[test]
fn a_seal_that_fits_frees_no_space_for_a_frame_that_does_not() {
    let (disk, mut journal) = new_journal();
    disk.set_capacity(Some(2048));
    commit(&mut journal, 1..=1).unwrap();
    let refused = journal.commit(&[message_of(2, 1900)], time(2));
    assert!(matches!(refused, Err(CommitError::NoSpace(_))), "{refused:?}");
    journal.seal().unwrap();
    assert!(matches!(journal.probe_space(), Err(CommitError::NoSpace(_))));
    disk.set_capacity(None);
    journal.probe_space().unwrap();
    journal.commit(&[message_of(2, 1900)], time(2)).unwrap();
}

#[test]
fn a_journal_opens_on_a_full_disk_and_can_be_read() {
    let disk = SimulatedDisk::new();
    let mut promised = Promised::default();
    run_with_space(&disk, &mut promised).unwrap();
    disk.set_capacity(Some(0));
    promised.recover(&disk);
}

#[test]
fn a_locked_journal_is_refused_until_its_lock_is_released() {
    let disk = SimulatedDisk::new();
    let opened = open(&disk).unwrap();
    let before = disk.contents();
    assert!(matches!(open(&disk), Err(OpenError::Locked { .. })));
    assert_eq!(disk.contents(), before);
    drop(opened);
    let opened = open(&disk).unwrap();
    disk.crash(0);
    open(&disk).unwrap();
    drop(opened);
}
