//! Single records and raw bytes of one segment.

use std::{io, sync::Arc};

use bytes::Bytes;
use oncelog::message::{Message, MessageId, Receipt, StoredMessage};

use super::SegmentView;
use crate::store::{
    Address, Damage, ReadError,
    journal::{
        bytes::{array_at, memory_len},
        disk::{Disk, DiskFile},
        format::{HEADER_BYTES, NoHeader},
        frame::{Header, Kind},
        record::{self, Record},
        segment::first_frame_offset,
    },
};

/// Read at once for a single record: most records fit.
const RECORD_READ_BYTES: u64 = 4096;

/// A segment to read from, up to where it is durable.
pub(super) struct SegmentReader<'a> {
    pub(super) segment: &'a SegmentView,
    file: Arc<dyn DiskFile>,
    pub(super) end: u64,
}

impl<'a> SegmentReader<'a> {
    pub(super) fn open(disk: &dyn Disk, segment: &'a SegmentView) -> Result<Self, ReadError> {
        let file = segment
            .file(disk)
            .map_err(|source| ReadError::Io { file: segment.name.clone(), source })?;
        Ok(Self { segment, file, end: segment.end() })
    }

    pub(super) fn damaged(&self, offset: u64, problem: &str) -> ReadError {
        ReadError::Damaged(Damage::new(&self.segment.name, offset, problem))
    }

    /// The `len` bytes at `offset`, which must be durable.
    pub(super) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, ReadError> {
        if offset.checked_add(len).is_none_or(|end| end > self.end) {
            return Err(self.damaged(offset, "a length is wrong"));
        }
        let mut bytes = vec![0; memory_len(len)];
        match self.file.read_at(offset, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.cut()?),
            Err(error) => Err(self.io(error)),
        }
    }

    fn io(&self, source: io::Error) -> ReadError {
        ReadError::Io { file: self.segment.name.clone(), source }
    }

    /// The damage of a file that ends in front of what was written: one place, whatever is read behind it.
    fn cut(&self) -> Result<ReadError, ReadError> {
        let len = self.file.len().map_err(|error| self.io(error))?;
        let problem = format!("the file ends here, and was written up to offset {}", self.end);
        Ok(self.damaged(len, &problem))
    }

    /// Checks the frame header that begins `bytes` and should be at `offset`.
    pub(super) fn header(&self, offset: u64, bytes: &[u8]) -> Result<Header, ReadError> {
        let expected = &self.segment.header;
        let problem = match Header::decode(&array_at(bytes, 0)) {
            Ok((header, _))
                if (header.salt, header.address) == (expected.salt, expected.address(offset)) =>
            {
                return Ok(header);
            }
            Ok(_) => "a frame that belongs to another place is here",
            Err(NoHeader::Invalid(problem)) => problem,
            Err(NoHeader::Version(_)) => "the format version of the frame is unknown",
        };
        Err(self.damaged(offset, problem))
    }

    /// The record at `address`, which is not in front of this segment.
    pub(super) fn get(&self, address: Address) -> Result<StoredMessage, ReadError> {
        const BEFORE: u64 = HEADER_BYTES as u64;
        let offset = address.0 - self.segment.header.base;
        if offset < first_frame_offset() + BEFORE || offset >= self.end {
            return Err(self.damaged(offset, "no record is there"));
        }
        // Together with what is in front of it, which is the frame's header if this is the first
        // record of its frame.
        let start = offset - BEFORE;
        let near = self.read(start, RECORD_READ_BYTES.min(self.end - start))?;
        let (before, bytes) = near.split_at(HEADER_BYTES);
        let Some(record_header) = bytes.first_chunk() else {
            return Err(self.damaged(offset, "no record is there"));
        };
        let len = record::len(record_header);
        let bytes = if memory_len(len) <= bytes.len() {
            Bytes::copy_from_slice(bytes)
        } else {
            Bytes::from(self.read(offset, len)?)
        };
        let distance = u64::from(record::distance(record_header));
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
    pub(super) fn stored(
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
pub(in crate::store::journal) fn message(record: &Record<'_>, body: Bytes) -> Option<Message> {
    Some(Message {
        id: MessageId::try_from(record.id).ok()?,
        stream: str::from_utf8(record.stream).ok()?.parse().ok()?,
        content_type: str::from_utf8(record.content_type).ok()?.parse().ok()?,
        body,
    })
}
