//! Damage that readers meet while the journal is open: told from everything else that can go wrong.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use logging_service::store::{
    Committed, Damage, ReadError, Reader, ScanLimit, Store as _,
    journal::disk::{Fault, SimulatedDisk},
};

use crate::{
    damage::{frames, segments},
    helper::*,
    repairs::{look, plan_for},
};

const ALL: ScanLimit = ScanLimit { messages: 1000, bytes: 1024 * 1024 };

/// An open journal of one batch, and where its records are.
fn one_batch() -> (SimulatedDisk, Opened, Committed) {
    let disk = SimulatedDisk::new();
    let mut opened = open(&disk).unwrap();
    let committed = commit(&mut opened.journal, 1..=9).unwrap();
    (disk, opened, committed)
}

/// Where the body of message `n` is in the first segment.
fn body_at(disk: &SimulatedDisk, n: u64) -> usize {
    let text = format!("message {n} ");
    let bytes = disk.read(FIRST_SEGMENT).unwrap();
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

fn sequences(reader: &dyn Reader, after: u64) -> Result<Vec<u64>, ReadError> {
    let records = reader.scan(after, ALL)?;
    Ok(records.iter().map(|record| record.receipt.sequence).collect())
}

fn damage(read: Result<Vec<u64>, ReadError>) -> Damage {
    match read {
        Err(ReadError::Damaged(damage)) => damage,
        other => panic!("no damage was found: {other:?}"),
    }
}

#[test]
fn what_is_behind_a_damaged_record_of_a_batch_can_be_read() {
    let (disk, opened, committed) = one_batch();
    let reader = opened.journal.reader();
    disk.flip_bit(FIRST_SEGMENT, body_at(&disk, 4) as u64 * 8);
    let scanned = damage(sequences(&*reader, 0));
    assert_eq!(scanned.file, FIRST_SEGMENT);
    for after in 0..4 {
        assert_eq!(damage(sequences(&*reader, after)), scanned);
    }
    for after in 4..9 {
        assert!(sequences(&*reader, after).unwrap().into_iter().eq(after + 1..=9), "{after}");
    }
    for (sequence, address) in (1..).zip(&committed.addresses) {
        match reader.get(*address) {
            Ok(found) => assert_eq!(found.message, message(sequence)),
            Err(ReadError::Damaged(found)) => assert_eq!((sequence, found), (4, scanned.clone())),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn no_flipped_bit_makes_a_reader_return_what_was_not_stored() {
    let (disk, opened, committed) = one_batch();
    let reader = opened.journal.reader();
    let whole = disk.read(FIRST_SEGMENT).unwrap();
    let frame = frames(&whole)[0].clone();
    for bit in frame.start * 8..frame.end * 8 {
        disk.flip_bit(FIRST_SEGMENT, bit as u64);
        for after in 0..9 {
            match reader.scan(after, ALL) {
                Ok(records) => {
                    let found = records.into_iter().map(|record| record.message);
                    assert!(found.eq(messages(after + 1..=9)), "bit {bit} after {after}");
                }
                Err(ReadError::Damaged(_)) => {}
                Err(error) => panic!("bit {bit} after {after}: {error}"),
            }
        }
        for (sequence, address) in (1..).zip(&committed.addresses) {
            if let Ok(found) = reader.get(*address) {
                assert_eq!(found.message, message(sequence), "bit {bit}");
            }
        }
        disk.put(FIRST_SEGMENT, &whole);
    }
}

#[test]
fn a_file_that_was_cut_is_damaged_where_it_ends_whoever_reads() {
    let (disk, mut opened, committed) = one_batch();
    let reader = opened.journal.reader();
    let whole = disk.read(FIRST_SEGMENT).unwrap();
    let end = body_at(&disk, 5);
    disk.put(FIRST_SEGMENT, &whole[..end]);
    let scanned = damage(sequences(&*reader, 0));
    assert_eq!((scanned.file.as_str(), scanned.offset), (FIRST_SEGMENT, end as u64));
    assert!(scanned.problem.contains("the file ends here"), "{scanned}");
    for address in &committed.addresses[4..] {
        let Err(ReadError::Damaged(found)) = reader.get(*address) else { panic!("it was read") };
        assert_eq!(found, scanned);
    }

    // What is stored afterwards stands behind the hole, where a repair finds it.
    let more = commit(&mut opened.journal, 10..=12).unwrap();
    assert_eq!(more.first_sequence, 10);
    assert_eq!(sequences(&*reader, 9).unwrap(), [10, 11, 12]);
    opened.journal.seal().unwrap();
    drop((opened, reader));
    assert!(!look(&disk).is_sound());
    plan_for(&disk).apply("cut", options(2048), &mut |_| {}).unwrap();
    let repaired = open(&disk).unwrap();
    assert_eq!(sequences(&*repaired.journal.reader(), 9).unwrap(), [10, 11, 12]);
}

#[test]
fn a_failed_read_of_the_disk_is_no_damage_and_may_pass() {
    let (disk, opened, committed) = one_batch();
    let reader = opened.journal.reader();
    for address in committed.addresses {
        disk.inject(0, Fault::Fail(io::ErrorKind::Other));
        assert!(matches!(reader.get(address), Err(ReadError::Io { .. })));
        assert!(reader.get(address).is_ok());
    }
    disk.inject(0, Fault::Fail(io::ErrorKind::Other));
    assert!(matches!(sequences(&*reader, 0), Err(ReadError::Io { .. })));
    assert_eq!(sequences(&*reader, 0).unwrap().len(), 9);
}

#[test]
fn a_failed_read_is_never_taken_for_lost_records() {
    let disk = crate::damage::closed_journal(&crate::repairs::BATCHES);
    let names = segments(&disk);
    disk.flip_bit(&names[0], 300 * 8);
    disk.flip_bit(&names[1], 70 * 8);
    let lost = plan_for(&disk).lost().to_vec();
    let mut failed = 0;
    for n in 0.. {
        disk.inject(n, Fault::Fail(io::ErrorKind::Other));
        let planned =
            logging_service::store::journal::repair::plan(Arc::new(disk.clone()), &mut |_| {});
        if disk.fault_is_pending() {
            break;
        }
        match planned {
            Ok(plan) => assert_eq!(plan.lost(), lost, "operation {n}"),
            Err(_) => failed += 1,
        }
    }
    assert!(failed > 10, "only {failed} plans failed");
}

#[test]
fn readers_beside_the_writer_never_see_damage() {
    const BATCHES: u64 = 600;
    let disk = SimulatedDisk::new();
    let mut opened = open(&disk).unwrap();
    let written = AtomicU64::new(0);
    thread::scope(|scope| {
        for from in 0..3 {
            let (reader, written) = (opened.journal.reader(), &written);
            scope.spawn(move || {
                let mut last = from;
                while last < BATCHES * 2 {
                    // What is said to be written must be there, and what is being written is no damage.
                    let known = written.load(Ordering::Acquire);
                    let seen = sequences(&*reader, last).unwrap();
                    assert!(seen.iter().copied().eq((last + 1..).take(seen.len())), "a gap");
                    last += seen.len() as u64;
                    assert!(last >= known, "{known} is written, {last} was read");
                }
            });
        }
        for first in (1..BATCHES * 2).step_by(2) {
            let committed = commit(&mut opened.journal, first..=first + 1).unwrap();
            written.store(first + 1, Ordering::Release);
            assert!(opened.journal.reader().get(committed.addresses[1]).is_ok());
        }
    });
}
