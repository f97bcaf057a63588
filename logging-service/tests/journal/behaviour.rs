//! What a journal promises while nothing goes wrong.

use std::{sync::Arc, thread, time::SystemTime};

use logging_service::store::{
    Address, ReadError, ScanLimit, Store as _,
    journal::disk::{Disk as _, SimulatedDisk},
};

use oncelog::message::{Receipt, StoredMessage};

use crate::helper::*;

#[test]
fn a_commit_is_read_back_with_its_sequence_time_and_address() {
    let (_, mut journal) = new_journal();
    let one = commit(&mut journal, 1..=1).unwrap();
    let more = commit(&mut journal, 2..=4).unwrap();
    assert_eq!((one.first_sequence, one.addresses.len()), (1, 1));
    assert_eq!((more.first_sequence, more.addresses.len()), (2, 3));

    let all = read_all(&journal);
    let expected = (1..=4).zip([1, 2, 2, 2]).map(|(sequence, batch)| {
        let receipt = Receipt { sequence, stored_at: time(batch) };
        StoredMessage { receipt, message: message(sequence) }
    });
    assert_eq!(all, expected.collect::<Vec<_>>());
    let reader = journal.reader();
    for (address, stored) in one.addresses.iter().chain(&more.addresses).zip(&all) {
        assert_eq!(&reader.get(*address).unwrap(), stored);
    }
}

#[test]
fn a_reopened_journal_holds_the_same_at_the_same_addresses() {
    let disk = SimulatedDisk::new();
    let mut addresses = Vec::new();
    for start in (1..100).step_by(9) {
        let mut opened = open(&disk).unwrap();
        assert_eq!(opened.records.iter().map(|(_, at)| *at).collect::<Vec<_>>(), addresses);
        assert_holds(&opened, &messages(1..=start - 1));
        for batch in [start..=start, start + 1..=start + 8] {
            addresses.extend(commit(&mut opened.journal, batch).unwrap().addresses);
        }
        if start % 2 == 0 {
            opened.journal.seal().unwrap();
        }
    }
    let segments = disk.list().unwrap().len();
    assert!(segments > 3, "only {segments} segments");
}

#[test]
fn a_frame_larger_than_a_segment_gets_a_segment_that_is_large_enough() {
    let (disk, mut journal) = new_journal();
    let sizes = [10_000, 10, 300_000, 2_000, 10];
    let expected: Vec<_> = (1..).zip(sizes).map(|(n, size)| message_of(n, size)).collect();
    for one in &expected {
        journal.commit(std::slice::from_ref(one), time(0)).unwrap();
    }
    drop(journal);
    assert_holds(&open(&disk).unwrap(), &expected);
}

#[test]
fn a_segment_grows_no_longer_than_its_size_otherwise() {
    let (disk, mut journal) = new_journal();
    for n in 1..=100 {
        commit(&mut journal, n..=n).unwrap();
    }
    assert!(disk.contents().iter().all(|(_, bytes)| bytes.len() == 2048));
}

#[test]
fn any_body_comes_back_byte_for_byte() {
    let disk = SimulatedDisk::new();
    let mut journal = open_with(Arc::new(disk.clone()), options(1 << 20)).unwrap().journal;
    let bodies =
        [vec![], vec![0; 5000], (0..=255).collect(), vec![0xf5; 4096], b"\xf5OLF".to_vec()];
    let expected: Vec<_> = (1..)
        .zip(bodies)
        .map(|(n, body)| oncelog::message::Message { body: body.into(), ..message(n) })
        .collect();
    journal.commit(&expected, SystemTime::UNIX_EPOCH).unwrap();
    drop(journal);
    assert_holds(&open_with(Arc::new(disk), options(1 << 20)).unwrap(), &expected);
}

#[test]
fn a_scan_starts_after_any_sequence_and_stops_at_its_limit() {
    let disk = SimulatedDisk::new();
    let mut journal = open_with(Arc::new(disk), options(1 << 20)).unwrap().journal;
    // Large enough that scans begin in the middle of frames and of segments.
    let expected: Vec<_> = (1..=3000).map(|n| message_of(n, 1000)).collect();
    for batch in expected.chunks(250) {
        journal.commit(batch, time(0)).unwrap();
    }
    let reader = journal.reader();
    for after in (0..3000).step_by(7) {
        let found = reader.scan(after, ScanLimit { messages: 3, bytes: usize::MAX }).unwrap();
        let from = usize::try_from(after).unwrap();
        let wanted = &expected[from..(from + 3).min(3000)];
        assert!(found.iter().map(|stored| &stored.message).eq(wanted));
    }
    let by_bytes = reader.scan(10, ScanLimit { messages: 1000, bytes: 2500 }).unwrap();
    assert_eq!(by_bytes.len(), 3, "the last one may exceed the limit");
    let at_least_one = reader.scan(10, ScanLimit { messages: 1000, bytes: 0 }).unwrap();
    assert_eq!(at_least_one.len(), 1);
    for after in [3000, 3001, u64::MAX] {
        assert!(reader.scan(after, ScanLimit { messages: 3, bytes: 1 }).unwrap().is_empty());
    }
    let chunks = read_all_by(&journal, ScanLimit { messages: 64, bytes: 10_000 });
    assert!(chunks.iter().map(|stored| &stored.message).eq(&expected));
}

#[test]
fn an_address_without_a_record_is_refused() {
    let (_, mut journal) = new_journal();
    let committed = commit(&mut journal, 1..=2).unwrap();
    let reader = journal.reader();
    for wrong in (0..1000).chain([u64::MAX]).map(Address) {
        if !committed.addresses.contains(&wrong) {
            assert!(matches!(reader.get(wrong), Err(ReadError::Damaged { .. })), "{wrong:?}");
        }
    }
}

#[test]
fn a_seal_is_written_once_for_the_records_before_it() {
    let (disk, mut journal) = new_journal();
    commit(&mut journal, 1..=1).unwrap();
    journal.seal().unwrap();
    let sealed = disk.contents();
    journal.seal().unwrap();
    assert_eq!(disk.contents(), sealed);
    drop(journal);
    let mut opened = open(&disk).unwrap();
    opened.journal.seal().unwrap();
    assert_eq!(disk.contents(), sealed);
    commit(&mut opened.journal, 2..=2).unwrap();
    assert_eq!(read_all(&opened.journal).len(), 2);
}

#[test]
fn readers_see_a_batch_once_its_commit_returns_and_not_before() {
    let disk = SimulatedDisk::new();
    let mut journal = open_with(Arc::new(disk), options(16 * 1024)).unwrap().journal;
    let reader = journal.reader();
    let done = std::sync::atomic::AtomicU64::new(0);
    thread::scope(|scope| {
        let followers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut after = 0;
                    while after < 1500 {
                        let sure = done.load(std::sync::atomic::Ordering::SeqCst);
                        let limit = ScanLimit { messages: 1000, bytes: usize::MAX };
                        let found = reader.scan(after, limit).unwrap();
                        let upto = found.last().map_or(after, |stored| stored.receipt.sequence);
                        assert!(upto >= sure || found.len() == 1000, "{upto} of {sure}");
                        assert!(upto % 5 == 0 || found.len() == 1000, "a part of a batch");
                        for (stored, sequence) in found.iter().zip(after + 1..) {
                            assert_eq!(stored.receipt.sequence, sequence);
                            assert_eq!(stored.message, message(sequence));
                        }
                        after = upto;
                    }
                })
            })
            .collect();
        for start in (1..1500).step_by(5) {
            commit(&mut journal, start..=start + 4).unwrap();
            done.store(start + 4, std::sync::atomic::Ordering::SeqCst);
        }
        for follower in followers {
            follower.join().unwrap();
        }
    });
}
