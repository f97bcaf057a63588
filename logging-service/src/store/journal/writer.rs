//! The journal writer: the only code that adds frames to the log.

use std::{io, sync::Arc};

use super::{
    Options,
    bytes::memory_len,
    chain::ChainTail,
    disk::{Disk, DiskFile, FileIdentity},
    frame::Header,
    frame_builder::FrameBuilder,
    segment::{self, first_frame_offset},
};
use crate::store::CommitError;

/// The segment that is written.
pub(super) struct ActiveSegment {
    pub(super) name: String,
    pub(super) header: segment::Header,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) identity: FileIdentity,
    /// Where the next frame goes.
    pub(super) end: u64,
    /// Bytes that are reserved for the segment.
    pub(super) capacity: u64,
    /// Bytes from the start that have been written, if only with zeros.
    pub(super) initialized: u64,
}

/// How far ahead of the log zeros are written. A reserved block that was never written costs the sync
/// that first writes it a change of the file system's own records as well, about as much again as
/// the data; once in this many bytes it is paid for all of them. To a reader nothing changes: what
/// is reserved reads as zeros anyway.
const ZEROS_AHEAD_BYTES: u64 = 256 * 1024;

/// Frames larger than this pay for themselves.
const ZEROS_FRAME_BYTES_MAX: u64 = ZEROS_AHEAD_BYTES / 4;

impl ActiveSegment {
    /// Sees to it that a frame of `frame_bytes` bytes is written where something was written before.
    fn write_zeros_ahead(&mut self, frame_bytes: u64) -> io::Result<()> {
        let frame_end = self.end + frame_bytes;
        assert!(frame_end <= self.capacity, "a frame is written without space reserved for it");
        if frame_end <= self.initialized {
            return Ok(());
        }
        self.initialized = frame_end;
        if frame_bytes <= ZEROS_FRAME_BYTES_MAX {
            let zeros_end = self.capacity.min(frame_end + ZEROS_AHEAD_BYTES);
            let zeros = vec![0; memory_len(zeros_end - frame_end)];
            self.file.write_all_at(frame_end, &zeros)?;
            self.initialized = zeros_end;
        }
        Ok(())
    }
}

/// Adds frames to a log. After [`CommitError::Failed`] it must not be used again.
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    options: Options,
    /// Appended to the names of new segments.
    name_suffix: &'static str,
    pub(super) segment: ActiveSegment,
    pub(super) chain: ChainTail,
    /// All records up to this one are durable.
    pub(super) synced_upto: u64,
    /// Whether something was written that is not synced.
    dirty: bool,
}

/// Where a frame was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrittenFrame {
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) first_sequence: u64,
}

impl Writer {
    /// Goes on at the end of `segment`.
    pub(super) fn resume(
        disk: Arc<dyn Disk>,
        options: Options,
        segment: ActiveSegment,
        chain: ChainTail,
    ) -> Self {
        let synced_upto = chain.last_sequence();
        Self { disk, options, name_suffix: "", segment, chain, synced_upto, dirty: false }
    }

    /// Begins a segment after `chain`, which ends the log so far. `name_suffix` is appended to the
    /// names of all segments this writer makes.
    ///
    /// # Errors
    /// As [`Writer::write`]. Without space nothing of the segment is left.
    pub(super) fn begin(
        disk: Arc<dyn Disk>,
        options: Options,
        chain: ChainTail,
        name_suffix: &'static str,
    ) -> Result<Self, CommitError> {
        let (segment, chain) = create(&*disk, &options, chain, name_suffix, 0)?;
        Ok(Self { name_suffix, ..Self::resume(disk, options, segment, chain) })
    }

    /// Writes a frame. It is durable after [`Writer::sync`]. In a log that is in use no other frame
    /// may be written before that, because recovery takes two unfinished frames for damage.
    ///
    /// # Errors
    /// [`CommitError::NoSpace`]: nothing of the frame is left, and the writer can go on.
    /// [`CommitError::Failed`]: what is left of it is unknown.
    ///
    /// # Panics
    /// The frame contradicts what was written before it.
    pub(super) fn write(&mut self, frame: &mut FrameBuilder) -> Result<WrittenFrame, CommitError> {
        let frame_bytes = frame.frame_bytes();
        self.reserve(frame_bytes)?;
        let header = Header {
            kind: frame.kind,
            salt: self.segment.header.salt,
            address: self.chain.address,
            first_sequence: self.chain.next_sequence,
            synced_upto: self.synced_upto,
            stored_at: frame.stored_at,
            count: frame.count,
            payload_bytes: frame.payload_bytes,
            previous: self.chain.checksum,
        };
        let (bytes, checksum) = frame.finish(&header);
        let offset = self.segment.end;
        self.dirty = true;
        let zeros = self.segment.write_zeros_ahead(frame_bytes);
        if let Err(error) = zeros.and_then(|()| self.segment.file.write_all_at(offset, bytes)) {
            return Err(self.cut_after(error));
        }
        self.segment.end += frame_bytes;
        self.chain = ChainTail {
            next_sequence: header.next_sequence(),
            address: header.address + frame_bytes,
            checksum,
        };
        Ok(WrittenFrame { address: header.address, offset, first_sequence: header.first_sequence })
    }

    /// Makes everything written durable.
    ///
    /// # Errors
    /// [`CommitError::Failed`], also for want of space: what a failed sync left behind is unknown.
    pub(super) fn sync(&mut self) -> Result<(), CommitError> {
        self.segment.file.sync_data().map_err(CommitError::Failed)?;
        self.synced_upto = self.chain.last_sequence();
        self.dirty = false;
        Ok(())
    }

    /// Sees to it that the next frame finds `frame_bytes` bytes: in this segment or in a new one.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub(super) fn reserve(&mut self, frame_bytes: u64) -> Result<(), CommitError> {
        let end = self.segment.end + frame_bytes;
        if end <= self.segment.capacity {
            return Ok(());
        }
        // A segment without records cannot be followed by another: both would have one name.
        let is_empty = self.segment.header.first_sequence == self.chain.next_sequence;
        if end <= self.options.segment_bytes || is_empty {
            let capacity = end.max(self.options.segment_bytes);
            self.segment.file.reserve(capacity).map_err(classify)?;
            self.segment.capacity = capacity;
            return Ok(());
        }
        // A later segment proves that this one was finished.
        if self.dirty {
            self.sync()?;
        }
        (self.segment, self.chain) =
            create(&*self.disk, &self.options, self.chain, self.name_suffix, frame_bytes)?;
        Ok(())
    }

    /// Takes back a frame that could not be written whole.
    fn cut_after(&mut self, error: io::Error) -> CommitError {
        if !is_no_space(&error) {
            return CommitError::Failed(error);
        }
        match cut(&*self.segment.file, self.segment.end, self.segment.capacity) {
            Ok(capacity) => {
                self.segment.capacity = capacity;
                self.segment.initialized = self.segment.end;
                CommitError::NoSpace(error)
            }
            Err(error) => CommitError::Failed(error),
        }
    }
}

/// Whether `error` only says that there is no more space, so that nothing else is wrong.
fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn classify(error: io::Error) -> CommitError {
    if is_no_space(&error) { CommitError::NoSpace(error) } else { CommitError::Failed(error) }
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

/// Creates the segment after `chain`, with space for a first frame of `frame_bytes`. Returns it with
/// the tail of the chain behind its header. It is durable and in the directory by then; if there is
/// no space, nothing of it is left.
fn create(
    disk: &dyn Disk,
    options: &Options,
    chain: ChainTail,
    name_suffix: &str,
    frame_bytes: u64,
) -> Result<(ActiveSegment, ChainTail), CommitError> {
    let name = segment::name(chain.next_sequence) + name_suffix;
    let header = segment::Header {
        salt: (options.salts)(),
        first_sequence: chain.next_sequence,
        base: chain.address,
        previous: chain.checksum,
    };
    let (bytes, checksum) = header.encode();
    let end = first_frame_offset();
    let capacity = options.segment_bytes.max(end + frame_bytes);
    let file = disk.create(&name).map_err(classify)?;
    let filled = file.reserve(capacity).and_then(|()| file.write_all_at(0, &bytes));
    let identity = match filled.and_then(|()| file.identity()) {
        Ok(identity) => identity,
        Err(error) => {
            if is_no_space(&error) {
                disk.remove(&name).and_then(|()| disk.sync_dir()).map_err(CommitError::Failed)?;
            }
            return Err(classify(error));
        }
    };
    file.sync_data().and_then(|()| disk.sync_dir()).map_err(CommitError::Failed)?;
    let chain = ChainTail { address: header.address(end), checksum, ..chain };
    Ok((ActiveSegment { name, header, file, identity, end, capacity, initialized: end }, chain))
}
