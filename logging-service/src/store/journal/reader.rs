//! Reading beside the writer.
//!
//! What is durable never changes, so readers need no lock on it: the writer publishes how far each
//! segment is durable, and readers read up to there.

mod scan;
mod view;

use std::{
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use oncelog::message::{Message, MessageId, Receipt, StoredMessage};

pub(super) use self::view::SegmentView;
use super::{
    appender::{Appender, Written},
    bytes::{array_at, file_len, memory_len},
    disk::{Disk, DiskFile},
    frame::{self, Header, Kind, NoHeader},
    record::{self, Record},
    segment::first_frame_offset,
};
use crate::store::{Address, ReadError, Reader, ScanLimit};

/// Read at once for a single record: most records fit.
const RECORD_READ_BYTES: u64 = 4096;

/// What the writer tells the readers.
pub(super) struct Shared {
    disk: Arc<dyn Disk>,
    open_segments_max: usize,
    /// In log order. Replaced as a whole, so that a reader holds no lock while it reads.
    segments: RwLock<Arc<Vec<Arc<SegmentView>>>>,
    last_sequence: AtomicU64,
}

impl Shared {
    pub(super) fn new(disk: Arc<dyn Disk>, open_segments_max: usize) -> Self {
        let segments = RwLock::new(Arc::new(Vec::new()));
        Self { disk, open_segments_max, segments, last_sequence: AtomicU64::new(0) }
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.last_sequence.load(Ordering::Acquire)
    }

    pub(super) fn set_last_sequence(&self, sequence: u64) {
        self.last_sequence.store(sequence, Ordering::Release);
    }

    /// Adds a segment behind all others.
    pub(super) fn push(&self, segment: Arc<SegmentView>) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::clone(&segments);
        all.push(segment);
        if let Some(old) =
            all.len().checked_sub(self.open_segments_max + 1).and_then(|at| all.get(at))
        {
            old.close();
        }
        *segments = Arc::new(all);
    }

    fn segments(&self) -> Arc<Vec<Arc<SegmentView>>> {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets readers see a frame that is durable now.
    pub(super) fn publish(&self, appender: &Appender, written: Written, distances: &[u32]) {
        let current = &appender.current;
        let last = self.segments().last().cloned();
        let segment = match last.filter(|last| last.header == current.header) {
            Some(segment) => segment,
            None => {
                let segment = Arc::new(SegmentView::new(current.name.clone(), current.header));
                segment.keep(Arc::clone(&current.file));
                self.push(Arc::clone(&segment));
                segment
            }
        };
        segment.add(written.offset, written.first_sequence, distances.iter().copied());
        segment.publish(current.end);
        self.set_last_sequence(appender.synced_upto);
    }
}

/// Reads what is durable.
pub(super) struct JournalReader {
    shared: Arc<Shared>,
}

impl JournalReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Reader for JournalReader {
    fn get(&self, address: Address) -> Result<StoredMessage, ReadError> {
        let segments = self.shared.segments();
        let after = segments.partition_point(|segment| segment.header.base <= address.0);
        match after.checked_sub(1).and_then(|at| segments.get(at)) {
            Some(segment) => Source::open(&self.shared, segment)?.get(address),
            None => Err(ReadError::Damaged {
                file: "the journal".to_owned(),
                offset: address.0,
                problem: "no record is there".to_owned(),
            }),
        }
    }

    fn scan(&self, after: u64, limit: ScanLimit) -> Result<Vec<StoredMessage>, ReadError> {
        let mut found = scan::Found::new(after, limit);
        if after >= self.shared.last_sequence() {
            return Ok(found.messages);
        }
        let segments = self.shared.segments();
        let next = segments.partition_point(|segment| segment.header.first_sequence <= after + 1);
        for segment in segments.get(next.saturating_sub(1)..).unwrap_or_default() {
            Source::open(&self.shared, segment)?.scan(&mut found)?;
            if found.is_full() {
                break;
            }
        }
        Ok(found.messages)
    }
}

/// A segment to read from, up to where it is durable.
struct Source<'a> {
    segment: &'a SegmentView,
    file: Arc<dyn DiskFile>,
    end: u64,
}

impl<'a> Source<'a> {
    fn open(shared: &Shared, segment: &'a SegmentView) -> Result<Self, ReadError> {
        let file = segment
            .file(&*shared.disk)
            .map_err(|source| ReadError::Io { file: segment.name.clone(), source })?;
        Ok(Self { segment, file, end: segment.end() })
    }

    fn damaged(&self, offset: u64, problem: &str) -> ReadError {
        ReadError::Damaged { file: self.segment.name.clone(), offset, problem: problem.to_owned() }
    }

    /// The `len` bytes at `offset`, which must be durable.
    fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, ReadError> {
        if offset.checked_add(len).is_none_or(|end| end > self.end) {
            return Err(self.damaged(offset, "a length is wrong"));
        }
        let mut bytes = vec![0; memory_len(len)];
        self.file.read_at(offset, &mut bytes).map_err(|source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                self.damaged(offset, "the file ends here")
            } else {
                ReadError::Io { file: self.segment.name.clone(), source }
            }
        })?;
        Ok(bytes)
    }

    /// Checks the frame header that is `bytes` and should be at `offset`.
    fn header(&self, offset: u64, bytes: &[u8]) -> Result<Header, ReadError> {
        match Header::decode(&array_at(bytes, 0)) {
            Ok((header, _))
                if header.epoch == self.segment.header.epoch
                    && header.address == self.segment.header.address(offset) =>
            {
                Ok(header)
            }
            Ok(_) => Err(self.damaged(offset, "a frame that belongs to another place is here")),
            Err(NoHeader::Invalid(problem)) => Err(self.damaged(offset, problem)),
            Err(NoHeader::Version(_)) => {
                Err(self.damaged(offset, "the format version of the frame is unknown"))
            }
        }
    }

    fn get(&self, address: Address) -> Result<StoredMessage, ReadError> {
        const BEFORE: u64 = frame::HEADER_BYTES as u64;
        let offset = address.0.saturating_sub(self.segment.header.base);
        if offset < first_frame_offset() + BEFORE || offset >= self.end {
            return Err(self.damaged(offset, "no record is there"));
        }
        // Together with what is in front of it, which is the frame's header if this is the first
        // record of its frame.
        let start = offset - BEFORE;
        let near = self.read(start, RECORD_READ_BYTES.min(self.end - start))?;
        let (before, bytes) = near.split_at(frame::HEADER_BYTES);
        let record_header = array_at(bytes, 0);
        let len = record::len(&record_header);
        let bytes = if memory_len(len) <= bytes.len() {
            Bytes::copy_from_slice(bytes)
        } else {
            Bytes::from(self.read(offset, len)?)
        };
        let distance = u64::from(record::distance(&record_header));
        let Some(frame_at) = offset.checked_sub(distance) else {
            return Err(self.damaged(offset, "the record is not in a frame"));
        };
        let header = if distance == BEFORE {
            self.header(frame_at, before)?
        } else {
            self.header(frame_at, &self.read(frame_at, BEFORE)?)?
        };
        self.stored(offset, &header, &bytes)
    }

    /// The message of the record at the start of `bytes`, which are at `offset`.
    fn stored(
        &self,
        offset: u64,
        header: &Header,
        bytes: &Bytes,
    ) -> Result<StoredMessage, ReadError> {
        let wrong = || self.damaged(offset, "the record is not the one that was written here");
        let record = record::parse(bytes).ok_or_else(wrong)?;
        let sequence = header.first_sequence + u64::from(record.ordinal);
        if header.kind != Kind::Data
            || record.ordinal >= header.count
            || !record::is_intact(bytes, record.len, sequence)
        {
            return Err(wrong());
        }
        let message = message(&record, bytes.slice_ref(record.body)).ok_or_else(wrong)?;
        Ok(StoredMessage { receipt: Receipt { sequence, stored_at: header.stored_at() }, message })
    }
}

/// The message a record holds; `None` if it breaks the rules for messages.
pub(super) fn message(record: &Record<'_>, body: Bytes) -> Option<Message> {
    Some(Message {
        id: MessageId::try_from(record.id).ok()?,
        stream: str::from_utf8(record.stream).ok()?.parse().ok()?,
        content_type: str::from_utf8(record.content_type).ok()?.parse().ok()?,
        body,
    })
}

/// Bytes a reader reads ahead.
fn read_ahead(limit: ScanLimit) -> u64 {
    const MIN: u64 = 64 * 1024;
    const MAX: u64 = 1024 * 1024;
    file_len(limit.bytes).clamp(MIN, MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::journal::{disk::SimulatedDisk, segment};

    #[test]
    fn a_scan_between_the_two_steps_of_publishing_a_frame_sees_nothing_of_it() {
        let disk = SimulatedDisk::new();
        disk.create("segment").unwrap();
        let shared = Shared::new(Arc::new(disk), 64);
        let header = segment::Header { epoch: 1, first_sequence: 1, base: 0, previous: 0 };
        let view = Arc::new(SegmentView::new("segment".to_owned(), header));
        shared.push(Arc::clone(&view));
        shared.set_last_sequence(1);
        // Large enough for an anchor; where the segment ends is not told yet.
        view.add(100_000, 1, std::iter::once(64));
        let reader = JournalReader::new(Arc::new(shared));
        let found = reader.scan(0, ScanLimit { messages: 1, bytes: 1 }).unwrap();
        assert!(found.is_empty());
    }
}
