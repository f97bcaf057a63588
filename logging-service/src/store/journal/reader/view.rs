//! A segment as readers see it.

use std::{
    io,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::store::journal::{
    disk::{Disk, DiskFile, FileIdentity},
    segment::{Header, first_frame_offset},
};

/// How far apart the records are that a scan can begin with. A scan reads at most this much for
/// nothing, and a gigabyte of log costs less than half a megabyte of memory.
const ANCHOR_BYTES: u64 = 64 * 1024;

/// A record a scan can begin with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    pub(super) sequence: u64,
    pub(super) offset: u64,
    /// From the start of its frame.
    pub(super) distance: u32,
}

/// A segment, as far as it is durable.
pub(in crate::store::journal) struct SegmentView {
    pub(super) name: String,
    pub(super) header: Header,
    /// `None`: it is opened for each call.
    file: RwLock<Option<Arc<dyn DiskFile>>>,
    identity: OnceLock<FileIdentity>,
    end: AtomicU64,
    anchors: RwLock<Vec<Anchor>>,
}

impl SegmentView {
    pub(in crate::store::journal) fn new(name: String, header: Header) -> Self {
        Self {
            name,
            header,
            file: RwLock::new(None),
            identity: OnceLock::new(),
            end: AtomicU64::new(first_frame_offset()),
            anchors: RwLock::new(Vec::new()),
        }
    }

    pub(in crate::store::journal) fn keep_open(&self, file: Arc<dyn DiskFile>) {
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }

    pub(super) fn close(&self) {
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn file(&self, disk: &dyn Disk) -> io::Result<Arc<dyn DiskFile>> {
        match self.open_file() {
            Some(file) => Ok(file),
            None => disk.open(&self.name),
        }
    }

    /// The file, if it is kept open.
    pub(super) fn open_file(&self) -> Option<Arc<dyn DiskFile>> {
        self.file.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes which file the segment is.
    pub(super) fn set_identity(&self, identity: FileIdentity) {
        self.identity.get_or_init(|| identity);
    }

    /// Whether another file has its name now, or none.
    pub(super) fn is_moved(&self, disk: &dyn Disk) -> io::Result<bool> {
        let Some(identity) = self.identity.get() else { return Ok(false) };
        Ok(disk.identity(&self.name)? != Some(*identity))
    }

    /// Notes where the records of the frame at `offset` are.
    pub(in crate::store::journal) fn add_records(
        &self,
        offset: u64,
        first_sequence: u64,
        distances: impl Iterator<Item = u32>,
    ) {
        let mut anchors = self.anchors.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = anchors.last().map_or(0, |anchor| anchor.offset) + ANCHOR_BYTES;
        for (sequence, distance) in (first_sequence..).zip(distances) {
            let record = offset + u64::from(distance);
            if record >= next {
                anchors.push(Anchor { sequence, offset: record, distance });
                next = record + ANCHOR_BYTES;
            }
        }
    }

    /// Lets readers see everything in front of `end`.
    pub(in crate::store::journal) fn set_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// The last known record that is not after `sequence`.
    pub(super) fn anchor(&self, sequence: u64) -> Option<Anchor> {
        let anchors = self.anchors.read().unwrap_or_else(PoisonError::into_inner);
        let after = anchors.partition_point(|anchor| anchor.sequence <= sequence);
        after.checked_sub(1).and_then(|at| anchors.get(at)).copied()
    }
}
