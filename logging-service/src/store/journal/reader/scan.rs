//! Reading records in order.

use bytes::Bytes;
use oncelog::message::StoredMessage;

use super::SegmentReader;
use crate::store::{
    ReadError, ScanLimit,
    journal::{
        bytes::{array_at, file_len, memory_len},
        format::HEADER_BYTES,
        frame::{Header, TRAILER_BYTES},
        record,
        segment::first_frame_offset,
    },
};

/// What a scan has found so far.
pub(super) struct Found {
    after: u64,
    limit: ScanLimit,
    body_bytes: usize,
    pub(super) messages: Vec<StoredMessage>,
}

impl Found {
    pub(super) fn new(after: u64, limit: ScanLimit) -> Self {
        Self { after, limit, body_bytes: 0, messages: Vec::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        !self.messages.is_empty()
            && (self.messages.len() >= self.limit.messages || self.body_bytes >= self.limit.bytes)
    }

    fn push(&mut self, stored: StoredMessage) {
        self.body_bytes += stored.message.body.len();
        self.messages.push(stored);
    }
}

/// A frame that is being read.
struct OpenFrame {
    header: Header,
    at: u64,
    /// The sequence of the record that is read next.
    sequence: u64,
}

impl OpenFrame {
    fn records_end(&self) -> u64 {
        self.at + self.header.frame_bytes() - file_len(TRAILER_BYTES)
    }

    /// Whether the record at `offset`, though it is damaged, is the one that is read next: then the one after it
    /// begins where this one ends.
    fn is_next(&self, offset: u64, bytes: &[u8]) -> bool {
        record::parse(bytes).is_some_and(|record| {
            self.at + u64::from(record.distance) == offset
                && self.header.first_sequence + u64::from(record.ordinal) == self.sequence
        })
    }
}

impl SegmentReader<'_> {
    /// Adds the records of this segment that are wanted.
    pub(super) fn scan(&self, found: &mut Found) -> Result<(), ReadError> {
        let mut ahead = ReadAhead {
            segment: self,
            bytes: Bytes::new(),
            start: 0,
            chunk: read_ahead(found.limit),
        };
        let (mut offset, mut open) = self.start(found.after + 1)?;
        while offset < self.end {
            let Some(frame) = &mut open else {
                let bytes = ahead.get(offset, file_len(HEADER_BYTES))?;
                let header = self.header(offset, &bytes)?;
                if header.next_sequence() <= found.after + 1 {
                    offset += header.frame_bytes();
                } else {
                    open = Some(OpenFrame { header, at: offset, sequence: header.first_sequence });
                    offset += file_len(HEADER_BYTES);
                }
                continue;
            };
            let records_end = frame.records_end();
            if offset >= records_end {
                offset = records_end + file_len(TRAILER_BYTES);
                open = None;
                continue;
            }
            let record_header = ahead.get(offset, file_len(record::HEADER_BYTES))?;
            let len = record::len(&array_at(&record_header, 0));
            if len > records_end - offset {
                return Err(self.damaged(offset, "the record is longer than its frame"));
            }
            let bytes = ahead.get(offset, len)?;
            match self.stored(offset, &frame.header, &bytes) {
                Ok(stored) if stored.receipt.sequence > found.after => found.push(stored),
                Ok(_) => {}
                // What is not wanted does not keep what comes after it from being read.
                Err(_) if frame.sequence <= found.after && frame.is_next(offset, &bytes) => {}
                Err(error) => return Err(error),
            }
            offset += len;
            frame.sequence += 1;
            if found.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Where to begin to read for the record `sequence`.
    fn start(&self, sequence: u64) -> Result<(u64, Option<OpenFrame>), ReadError> {
        // The anchor may be newer than the end that was read before it.
        let anchor = self.segment.anchor(sequence).filter(|anchor| anchor.offset < self.end);
        let Some(anchor) = anchor else { return Ok((first_frame_offset(), None)) };
        let at = anchor.offset - u64::from(anchor.distance);
        let header = self.header(at, &self.read(at, file_len(HEADER_BYTES))?)?;
        Ok((anchor.offset, Some(OpenFrame { header, at, sequence: anchor.sequence })))
    }
}

/// Reads in chunks, which bodies become parts of instead of being copied.
struct ReadAhead<'a> {
    segment: &'a SegmentReader<'a>,
    bytes: Bytes,
    start: u64,
    chunk: u64,
}

impl ReadAhead<'_> {
    /// The `len` bytes at `offset`.
    fn get(&mut self, offset: u64, len: u64) -> Result<Bytes, ReadError> {
        if offset < self.start || offset + len > self.start + file_len(self.bytes.len()) {
            let chunk = self.chunk.min(self.segment.end.saturating_sub(offset)).max(len);
            self.bytes = Bytes::from(self.segment.read(offset, chunk)?);
            self.start = offset;
        }
        let from = memory_len(offset - self.start);
        Ok(self.bytes.slice(from..from + memory_len(len)))
    }
}

/// Bytes a reader reads ahead.
fn read_ahead(limit: ScanLimit) -> u64 {
    const MIN: u64 = 64 * 1024;
    const MAX: u64 = 1024 * 1024;
    file_len(limit.bytes).clamp(MIN, MAX)
}
