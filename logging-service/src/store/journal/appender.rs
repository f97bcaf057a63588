//! The end of the log: frames are added here, and nowhere else.

use std::{io, sync::Arc};

use super::{
    Options,
    bytes::{file_len, memory_len},
    disk::{Disk, DiskFile},
    frame::{self, HEADER_BYTES, Header, Kind, checksum},
    segment::{self, first_frame_offset},
    survey::Link,
};
use crate::store::CommitError;

/// The segment that is written.
pub(super) struct Current {
    pub(super) name: String,
    pub(super) header: segment::Header,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    pub(super) end: u64,
    /// Bytes that are reserved for the segment.
    pub(super) capacity: u64,
    /// Bytes from the start that have been written, if only with zeros.
    pub(super) written: u64,
}

/// How far ahead of the log zeros are written. A reserved block that was never written costs the sync
/// that first writes it a change of the file system's own records as well, about as much again as
/// the data; once in this many bytes it is paid for all of them. To a reader nothing changes: what
/// is reserved reads as zeros anyway.
const ZEROS_AHEAD_BYTES: u64 = 256 * 1024;

/// Frames larger than this pay for themselves.
const ZEROS_FRAME_BYTES_MAX: u64 = ZEROS_AHEAD_BYTES / 4;

impl Current {
    /// Sees to it that a frame of `frame_bytes` bytes is written where something was written before.
    fn write_zeros_ahead(&mut self, frame_bytes: u64) -> io::Result<()> {
        let frame_end = self.end.saturating_add(frame_bytes);
        if frame_end <= self.written {
            return Ok(());
        }
        self.written = frame_end;
        if frame_bytes <= ZEROS_FRAME_BYTES_MAX {
            let zeros_end = frame_end.saturating_add(ZEROS_AHEAD_BYTES).min(self.capacity);
            let zeros = vec![0; memory_len(zeros_end.saturating_sub(frame_end))];
            self.file.write_all_at(frame_end, &zeros)?;
            self.written = zeros_end.max(frame_end);
        }
        Ok(())
    }
}

/// Adds frames to a log. After [`CommitError::Failed`] it must not be used again.
pub(super) struct Appender {
    disk: Arc<dyn Disk>,
    options: Options,
    /// Appended to the names of new segments.
    name_suffix: &'static str,
    pub(super) current: Current,
    pub(super) link: Link,
    /// All records up to this one are durable.
    pub(super) synced_upto: u64,
    /// Whether something was written that is not synced.
    dirty: bool,
}

/// A frame before it is written: records are encoded behind room for its header.
pub(super) struct Draft<'a> {
    pub(super) kind: Kind,
    pub(super) stored_at: i64,
    pub(super) count: u32,
    /// [`HEADER_BYTES`] of room and the payload.
    pub(super) buffer: &'a mut Vec<u8>,
}

impl Draft<'_> {
    /// Bytes of the whole frame.
    pub(super) fn frame_bytes(&self) -> u64 {
        file_len(self.buffer.len() + frame::TRAILER_BYTES)
    }
}

/// A frame that was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) first_sequence: u64,
}

/// Whether `error` only says that there is no more room, so that nothing else is wrong.
fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn classify(error: io::Error) -> CommitError {
    if is_no_space(&error) { CommitError::NoSpace(error) } else { CommitError::Failed(error) }
}

impl Appender {
    /// Goes on at the end of `current`.
    pub(super) fn resume(
        disk: Arc<dyn Disk>,
        options: Options,
        current: Current,
        link: Link,
    ) -> Self {
        let synced_upto = link.next_sequence - 1;
        Self { disk, options, name_suffix: "", current, link, synced_upto, dirty: false }
    }

    /// Begins a segment after `link`, which ends the log so far. `name_suffix` is appended to the
    /// names of all segments this appender makes.
    pub(super) fn begin(
        disk: Arc<dyn Disk>,
        options: Options,
        link: Link,
        name_suffix: &'static str,
    ) -> Result<Self, CommitError> {
        let current = create(&*disk, &options, link, name_suffix, 0)?;
        let (_, checksum) = current.header.encode();
        let link = Link { address: current.header.address(current.end), checksum, ..link };
        let synced_upto = link.next_sequence - 1;
        Ok(Self { disk, options, name_suffix, current, link, synced_upto, dirty: false })
    }

    /// Writes a frame. It is durable after [`Appender::sync`]. In a log that is in use no other
    /// frame may be written before that, because recovery takes two unfinished frames for damage.
    pub(super) fn write(&mut self, draft: Draft<'_>) -> Result<Written, CommitError> {
        let payload_bytes = draft.buffer.len().saturating_sub(HEADER_BYTES);
        let Ok(payload_bytes) = u32::try_from(payload_bytes) else {
            return Err(CommitError::NoSpace(io::ErrorKind::FileTooLarge.into()));
        };
        let frame_bytes = draft.frame_bytes();
        self.make_room(frame_bytes)?;
        let header = Header {
            kind: draft.kind,
            epoch: self.current.header.epoch,
            address: self.link.address,
            first_sequence: self.link.next_sequence,
            synced_upto: self.synced_upto,
            stored_at: draft.stored_at,
            count: draft.count,
            payload_bytes,
            previous: self.link.checksum,
        };
        let (bytes, header_checksum) = header.encode();
        if let Some(room) = draft.buffer.first_chunk_mut() {
            *room = bytes;
        }
        let payload = draft.buffer.get(HEADER_BYTES..).unwrap_or_default();
        let checksum = checksum(header_checksum, payload);
        draft.buffer.extend_from_slice(&checksum.to_le_bytes());

        let offset = self.current.end;
        self.dirty = true;
        let zeros = self.current.write_zeros_ahead(frame_bytes);
        if let Err(error) =
            zeros.and_then(|()| self.current.file.write_all_at(offset, draft.buffer))
        {
            return Err(self.cut_after(error));
        }
        self.current.end += frame_bytes;
        self.link = Link {
            next_sequence: header.next_sequence(),
            address: self.link.address + frame_bytes,
            checksum,
        };
        Ok(Written { address: header.address, offset, first_sequence: header.first_sequence })
    }

    /// Makes everything written durable.
    pub(super) fn sync(&mut self) -> Result<(), CommitError> {
        // Also for want of space: what a failed sync left behind is unknown.
        self.current.file.sync_data().map_err(CommitError::Failed)?;
        self.synced_upto = self.link.next_sequence - 1;
        self.dirty = false;
        Ok(())
    }

    /// Sees to it that the next frame finds `frame_bytes` bytes: in this segment or in a new one.
    pub(super) fn make_room(&mut self, frame_bytes: u64) -> Result<(), CommitError> {
        let end = self.current.end.saturating_add(frame_bytes);
        if end <= self.current.capacity {
            return Ok(());
        }
        // A segment without records cannot be followed by another: both would have one name.
        let is_empty = self.current.header.first_sequence == self.link.next_sequence;
        if end <= self.options.segment_bytes || is_empty {
            let capacity = end.max(self.options.segment_bytes);
            self.current.file.reserve(capacity).map_err(classify)?;
            self.current.capacity = capacity;
            return Ok(());
        }
        // A later segment proves that this one was finished.
        if self.dirty {
            self.sync()?;
        }
        self.current =
            create(&*self.disk, &self.options, self.link, self.name_suffix, frame_bytes)?;
        let (_, checksum) = self.current.header.encode();
        self.link.address = self.current.header.address(self.current.end);
        self.link.checksum = checksum;
        Ok(())
    }

    /// Takes back a frame that could not be written whole.
    fn cut_after(&mut self, error: io::Error) -> CommitError {
        if !is_no_space(&error) {
            return CommitError::Failed(error);
        }
        match cut(&*self.current.file, self.current.end, self.current.capacity) {
            Ok(capacity) => {
                self.current.capacity = capacity;
                self.current.written = self.current.end;
                CommitError::NoSpace(error)
            }
            Err(error) => CommitError::Failed(error),
        }
    }
}

/// Removes everything from `end` on, reserves the file up to `capacity` again if there is space,
/// and makes that durable: remains of the old frame must not come back behind a shorter new one.
/// Returns how far the file is reserved.
pub(super) fn cut(file: &dyn DiskFile, end: u64, capacity: u64) -> io::Result<u64> {
    file.truncate(end)?;
    let reserved = match file.reserve(capacity) {
        Ok(()) => capacity,
        Err(error) if is_no_space(&error) => end,
        Err(error) => return Err(error),
    };
    file.sync_data()?;
    Ok(reserved)
}

/// Reserves `file` up to `capacity` if there is space. Returns how far it is reserved.
pub(super) fn reserve_if_possible(file: &dyn DiskFile, capacity: u64) -> io::Result<u64> {
    match file.reserve(capacity) {
        Ok(()) => Ok(capacity),
        Err(error) if is_no_space(&error) => file.len(),
        Err(error) => Err(error),
    }
}

/// Creates the segment after `link`, with room for a first frame of `frame_bytes`. It is durable
/// and in the directory when this returns; if there is no space, nothing of it is left.
fn create(
    disk: &dyn Disk,
    options: &Options,
    link: Link,
    name_suffix: &str,
    frame_bytes: u64,
) -> Result<Current, CommitError> {
    let name = segment::name(link.next_sequence) + name_suffix;
    let header = segment::Header {
        epoch: (options.epochs)(),
        first_sequence: link.next_sequence,
        base: link.address,
        previous: link.checksum,
    };
    let (bytes, _) = header.encode();
    let end = first_frame_offset();
    let capacity = options.segment_bytes.max(end.saturating_add(frame_bytes));
    let file = disk.create(&name).map_err(classify)?;
    let filled = file.reserve(capacity).and_then(|()| file.write_all_at(0, &bytes));
    if let Err(error) = filled {
        if is_no_space(&error) {
            disk.remove(&name).and_then(|()| disk.sync_dir()).map_err(CommitError::Failed)?;
        }
        return Err(classify(error));
    }
    file.sync_data().and_then(|()| disk.sync_dir()).map_err(CommitError::Failed)?;
    debug_assert_eq!(file_len(bytes.len()), end);
    Ok(Current { name, header, file, end, capacity, written: end })
}
