//! Crashes at every operation: what was acknowledged survives all of them.

use logging_service::store::{
    Store as _,
    journal::disk::{Fault, SimulatedDisk},
};

use crate::{
    helper::*,
    workload::{Promised, run_with_space},
};

/// The disk, and what was promised on it, after a crash at operation `n` of the workload; `None`
/// once there are no more operations.
fn crash_at(n: u64, seed: u64) -> Option<(SimulatedDisk, Promised)> {
    let disk = SimulatedDisk::new();
    let mut promised = Promised::default();
    disk.inject(n, Fault::Crash);
    let ended = run_with_space(&disk, &mut promised);
    if disk.fault_is_pending() {
        ended.unwrap();
        return None;
    }
    disk.crash(seed);
    Some((disk, promised))
}

/// Goes on after a recovery: appending, and opening once more.
fn goes_on(disk: &SimulatedDisk, mut promised: Promised) {
    let mut opened = promised.recover(disk);
    let next = promised.stored.len() as u64 + 1;
    for n in next..next + 3 {
        commit(&mut opened.journal, n..=n).unwrap();
        promised.stored.push(message(n));
    }
    opened.journal.seal().unwrap();
    drop(opened);
    promised.recover(disk);
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_acknowledged() {
    let mut points = 0;
    for n in 0.. {
        for seed in 0..12 {
            let Some((disk, promised)) = crash_at(n, seed) else {
                assert!(points > 1000, "{points} points are too few to mean something");
                return;
            };
            goes_on(&disk, promised);
            points += 1;
        }
    }
}

#[test]
fn a_crash_at_any_operation_of_a_recovery_loses_nothing_either() {
    for n in 0.. {
        // Seed 3 keeps some of what was not synced, so that there are tails to cut.
        let Some((disk, promised)) = crash_at(n, 3) else { return };
        for during in 0.. {
            let again = disk.snapshot();
            again.inject(during, Fault::Crash);
            let interrupted = open(&again);
            let finished = again.fault_is_pending();
            assert_eq!(finished, interrupted.is_ok());
            drop(interrupted);
            again.crash(n ^ during);
            let mut promised = promised.clone();
            promised.recover(&again);
            if finished {
                break;
            }
        }
    }
}

#[test]
fn nothing_of_an_unfinished_write_is_left_once_the_journal_is_open() {
    let disk = SimulatedDisk::new();
    let mut opened = open(&disk).unwrap();
    commit(&mut opened.journal, 1..=1).unwrap();
    let before = disk.read(FIRST_SEGMENT).unwrap();
    opened.journal.commit(&[message_of(2, 900)], time(2)).unwrap();
    drop(opened);
    let mut torn = disk.read(FIRST_SEGMENT).unwrap();
    let begin = (0..torn.len()).find(|&at| before.get(at) != torn.get(at)).unwrap();
    torn[begin..begin + 100].fill(0);
    assert!(torn[begin..].iter().any(|&byte| byte != 0), "there is something to cut");
    disk.put(FIRST_SEGMENT, &torn);

    let opened = open(&disk).unwrap();

    assert_holds(&opened, &messages(1..=1));
    drop(opened);
    let after = disk.read(FIRST_SEGMENT).unwrap();
    assert_eq!(after[..begin], before[..begin]);
    assert!(after[begin..].iter().all(|&byte| byte == 0));
}

#[test]
fn a_crash_keeps_what_is_synced_and_only_maybe_the_rest() {
    use logging_service::store::journal::disk::Disk as _;
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..50 {
        let disk = SimulatedDisk::new();
        let file = disk.create("file").unwrap();
        disk.sync_dir().unwrap();
        file.write_all_at(0, b"synced").unwrap();
        file.sync_data().unwrap();
        file.write_all_at(6, b" or not").unwrap();
        disk.crash(seed);
        assert!(file.len().is_err(), "a file from before the crash is dead");
        match &disk.read("file").unwrap()[..] {
            b"synced or not" => kept += 1,
            b"synced" => lost += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(kept > 5 && lost > 5, "{kept} kept, {lost} lost");
}
