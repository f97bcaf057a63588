//! What all tests of the journal need.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use logging_service::store::{
    Address, CommitError, Committed, ScanLimit, Store as _,
    journal::{
        Journal, OpenError, Options,
        disk::{Disk, SimulatedDisk},
    },
};
use oncelog::message::{ContentType, Message, MessageId, StoredMessage};

/// The name of the first segment.
pub(crate) const FIRST_SEGMENT: &str = "00000000000000000001.segment";

/// Small segments, and random numbers that repeat from run to run.
pub(crate) fn options(segment_bytes: u64) -> Options {
    let next = AtomicU64::new(1);
    Options {
        segment_bytes,
        open_segments_max: 64,
        salts: Arc::new(move || {
            next.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        }),
    }
}

/// The `n`th message; its body is `bytes` long and says `n`.
pub(crate) fn message_of(n: u64, bytes: usize) -> Message {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&n.to_be_bytes());
    let mut body = format!("message {n} ").into_bytes();
    body.resize(bytes, b'a' + u8::try_from(n % 26).unwrap());
    Message {
        id: MessageId::try_from(id).unwrap(),
        stream: "facade".parse().unwrap(),
        content_type: ContentType::text(),
        body: body.into(),
    }
}

pub(crate) fn message(n: u64) -> Message {
    message_of(n, 20)
}

pub(crate) fn messages(numbers: std::ops::RangeInclusive<u64>) -> Vec<Message> {
    numbers.map(message).collect()
}

/// The time the batch that begins with message `n` is stored.
pub(crate) fn time(n: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_001 + n)
}

/// A journal, and what opening it told.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) journal: Journal,
    pub(crate) records: Vec<(MessageId, Address)>,
}

pub(crate) fn open_with(disk: Arc<dyn Disk>, options: Options) -> Result<Opened, OpenError> {
    let mut records = Vec::new();
    let journal = Journal::open(
        disk,
        options,
        &mut |id, address| records.push((id, address)),
        &mut |progress| assert!(progress.done_bytes <= progress.total_bytes),
    )?;
    Ok(Opened { journal, records })
}

/// Opens a journal of 2 KiB segments.
pub(crate) fn open(disk: &SimulatedDisk) -> Result<Opened, OpenError> {
    open_with(Arc::new(disk.clone()), options(2048))
}

/// A disk with a new journal.
pub(crate) fn new_journal() -> (SimulatedDisk, Journal) {
    let disk = SimulatedDisk::new();
    let journal = open(&disk).unwrap().journal;
    (disk, journal)
}

/// Commits messages `numbers` as one batch.
pub(crate) fn commit(
    journal: &mut Journal,
    numbers: std::ops::RangeInclusive<u64>,
) -> Result<Committed, CommitError> {
    let stored_at = time(*numbers.start());
    journal.commit(&messages(numbers), stored_at)
}

/// Everything a reader sees, read in chunks of `limit`.
pub(crate) fn read_all_by(journal: &Journal, limit: ScanLimit) -> Vec<StoredMessage> {
    let reader = journal.reader();
    let mut all: Vec<StoredMessage> = Vec::new();
    loop {
        let after = all.last().map_or(0, |stored| stored.receipt.sequence);
        let more = reader.scan(after, limit).unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

pub(crate) fn read_all(journal: &Journal) -> Vec<StoredMessage> {
    read_all_by(journal, ScanLimit { messages: 1000, bytes: 256 * 1024 })
}

/// Checks that `opened` holds exactly `expected`, by all ways of reading.
pub(crate) fn assert_holds(opened: &Opened, expected: &[Message]) {
    let all = read_all(&opened.journal);
    let found: Vec<_> = all.iter().map(|stored| stored.message.clone()).collect();
    assert_eq!(found, expected);
    assert!(all.iter().zip(1..).all(|(stored, sequence)| stored.receipt.sequence == sequence));
    assert_eq!(opened.journal.last_sequence(), expected.len() as u64);
    assert_finds_each(opened, &all);
}

/// Checks that `opened` was told of all records, and where they are.
pub(crate) fn assert_finds_each(opened: &Opened, all: &[StoredMessage]) {
    let reader = opened.journal.reader();
    let found = opened.records.iter().map(|(id, at)| (*id, reader.get(*at).unwrap()));
    assert!(found.eq(all.iter().map(|stored| (stored.message.id, stored.clone()))));
}
