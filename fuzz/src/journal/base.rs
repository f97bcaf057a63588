//! Journals as the product writes them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arbitrary::{Result, Unstructured};
use logging_service::store::{
    Store as _,
    journal::{Journal, Options, disk::SimulatedDisk},
};

use oncelog::message::{ContentType, Message, MessageId, Place, StoredMessage, StreamName};

use super::forge::{frames, number};

/// A journal, and what is in it.
pub(super) struct Base {
    pub(super) disk: SimulatedDisk,
    pub(super) stored: Vec<StoredMessage>,
    pub(super) frames: Vec<Written>,
}

/// A frame of records as it was written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    file: String,
    at: usize,
    bytes: Vec<u8>,
    /// Sequence of its last record.
    pub(super) last: u64,
}

impl Written {
    /// Whether it is on `disk` as it was, where it was.
    pub(super) fn is_whole(&self, disk: &SimulatedDisk) -> bool {
        let content = disk.read(&self.file).unwrap_or_default();
        content.get(self.at..self.at + self.bytes.len()) == Some(&self.bytes[..])
    }
}

fn written(disk: &SimulatedDisk) -> Vec<Written> {
    const DATA: u8 = 1;
    let mut written = Vec::new();
    for (file, content) in disk.contents() {
        for frame in frames(&content).into_iter().filter(|frame| content[frame.start + 5] == DATA) {
            let first = number::<8>(&content, frame.start + 24);
            let last = first + number::<4>(&content, frame.start + 48) - 1;
            let (file, at, bytes) = (file.clone(), frame.start, content[frame].to_vec());
            written.push(Written { file, at, bytes, last });
        }
    }
    written
}

/// Small segments, and random numbers that repeat from run to run.
pub(super) fn options() -> Options {
    let next = AtomicU64::new(1);
    let epochs = move || next.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Options { segment_bytes: 640, epochs: Arc::new(epochs), ..Options::default() }
}

/// The `n`th message; `bytes` long.
pub(super) fn message(n: u64, bytes: usize) -> Message {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&n.to_be_bytes());
    Message {
        id: MessageId::try_from(id).unwrap(),
        stream: StreamName::facade(),
        content_type: ContentType::text(),
        body: vec![b'a' + (n % 26) as u8; bytes].into(),
    }
}

pub(super) fn time(n: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_001 + n)
}

/// A journal of some batches; the choices decide how many and how long.
pub(super) fn base(choices: &mut Unstructured<'_>) -> Base {
    let disk = SimulatedDisk::new();
    let mut journal =
        Journal::open(Arc::new(disk.clone()), options(), &mut |_, _| {}, &mut |_| {}).unwrap();
    let mut stored = Vec::new();
    let _ = fill(choices, &mut journal, &mut stored);
    let frames = written(&disk);
    Base { disk, stored, frames }
}

fn fill(
    choices: &mut Unstructured<'_>,
    journal: &mut Journal,
    stored: &mut Vec<StoredMessage>,
) -> Result<()> {
    for _ in 0..choices.int_in_range(0..=8)? {
        let (messages, bytes) = (choices.int_in_range(1..=4)?, choices.int_in_range(0..=100)?);
        let first = stored.len() as u64 + 1;
        let stored_at = time(first);
        let batch: Vec<Message> = (first..first + messages).map(|n| message(n, bytes)).collect();
        journal.commit(&batch, stored_at).unwrap();
        stored.extend((first..).zip(batch).map(|(sequence, message)| {
            let place = Place { sequence, stored_at };
            StoredMessage { place, message }
        }));
        if choices.ratio(1, 4)? {
            journal.mark_idle().unwrap();
        }
    }
    Ok(())
}
