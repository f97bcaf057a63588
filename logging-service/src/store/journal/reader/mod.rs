//! Reading beside the writer.
//!
//! What is durable never changes, so readers need no lock on it: the writer publishes how far each
//! segment is durable, and readers read up to there.

mod scan;
mod segment_reader;
mod view;

use std::{
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use oncelog::message::StoredMessage;

use self::{scan::Found, segment_reader::SegmentReader};
pub(super) use self::{segment_reader::message, view::SegmentView};
use super::{
    disk::Disk,
    error::OpenError,
    writer::{ActiveSegment, Writer, WrittenFrame},
};
use crate::store::{Address, Damage, ReadError, Reader, ScanLimit};

/// What the writer has published, and how it is read.
pub(super) struct Published {
    disk: Arc<dyn Disk>,
    open_segments_max: usize,
    /// In log order. Replaced as a whole, so that a reader holds no lock while it reads.
    segments: RwLock<Arc<Vec<Arc<SegmentView>>>>,
    last_sequence: AtomicU64,
}

impl Published {
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

    /// Notes which file each segment is, and opens the newest ones, as an open file outlives its name.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub(super) fn open_files(&self) -> Result<(), OpenError> {
        let segments = self.segments();
        let closed = segments.len().saturating_sub(self.open_segments_max);
        for (index, segment) in segments.iter().enumerate() {
            let opened = self.disk.open(&segment.name).and_then(|file| {
                segment.set_identity(file.identity()?);
                Ok(file)
            });
            let file = opened.map_err(OpenError::io(format!("open {}", segment.name)))?;
            if index >= closed {
                segment.keep_open(file);
            }
        }
        Ok(())
    }

    /// Looks at `count` segments from the `from`th on whether another file has their names now, or none.
    /// Returns where to go on, and the first such segment.
    pub(super) fn find_moved(
        &self,
        from: usize,
        count: usize,
    ) -> (usize, Option<io::Result<String>>) {
        let segments = self.segments();
        let from = if from < segments.len() { from } else { 0 };
        let end = segments.len().min(from + count);
        let found = segments[from..end].iter().find_map(|segment| {
            let moved = segment.is_moved(&*self.disk);
            moved.map(|moved| moved.then(|| segment.name.clone())).transpose()
        });
        (end, found)
    }

    /// The paths by which open segments can be read, each with the name of the segment, and the names
    /// of segments that are not open.
    pub(super) fn open_paths(&self) -> (Vec<(String, String)>, Vec<String>) {
        let (mut open, mut closed) = (Vec::new(), Vec::new());
        for segment in &**self.segments() {
            match segment.open_file().and_then(|file| file.open_path()) {
                Some(path) => open.push((path, segment.name.clone())),
                None => closed.push(segment.name.clone()),
            }
        }
        (open, closed)
    }

    fn segments(&self) -> Arc<Vec<Arc<SegmentView>>> {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets readers see a frame that is durable now.
    ///
    /// `writer` wrote it last, and `distances` are from its start to each of its records.
    pub(super) fn publish(&self, writer: &Writer, frame: WrittenFrame, distances: &[u32]) {
        let ActiveSegment { name, header, file, identity, end, .. } = &writer.segment;
        let last = self.segments().last().cloned();
        let segment = last.filter(|last| last.header == *header).unwrap_or_else(|| {
            let segment = Arc::new(SegmentView::new(name.clone(), *header));
            segment.set_identity(*identity);
            segment.keep_open(Arc::clone(file));
            self.push(Arc::clone(&segment));
            segment
        });
        segment.add_records(frame.offset, frame.first_sequence, distances.iter().copied());
        // The order of these two stores keeps readers right without a lock. A scan loads the last
        // sequence first and the ends of segments afterwards: one that sees the new sequence also
        // sees the new end, and finds the record. In the other order it could be told of a record
        // and not find it. A scan between the two stores sees the old sequence; what it may read
        // beyond that is durable as well.
        segment.set_end(*end);
        self.set_last_sequence(writer.synced_upto);
    }
}

impl Reader for Published {
    fn get(&self, address: Address) -> Result<StoredMessage, ReadError> {
        let segments = self.segments();
        let after = segments.partition_point(|segment| segment.header.base <= address.0);
        match after.checked_sub(1).and_then(|at| segments.get(at)) {
            Some(segment) => SegmentReader::open(&*self.disk, segment)?.get(address),
            None => {
                let damage = Damage::new("the journal", address.0, "no record is there");
                Err(ReadError::Damaged(damage))
            }
        }
    }

    fn scan(&self, after: u64, limit: ScanLimit) -> Result<Vec<StoredMessage>, ReadError> {
        let mut found = Found::new(after, limit);
        if after >= self.last_sequence() {
            return Ok(found.messages);
        }
        let segments = self.segments();
        let next = segments.partition_point(|segment| segment.header.first_sequence <= after + 1);
        assert!(next > 0, "the first segment does not begin with the first record");
        for segment in &segments[next - 1..] {
            SegmentReader::open(&*self.disk, segment)?.scan(&mut found)?;
            if found.is_full() {
                break;
            }
        }
        Ok(found.messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::journal::{disk::SimulatedDisk, segment};

    #[test]
    fn a_scan_between_the_two_stores_of_a_publication_sees_nothing() {
        let disk = SimulatedDisk::new();
        disk.create("segment").unwrap();
        let published = Published::new(Arc::new(disk), 64);
        let header = segment::Header { salt: 1, first_sequence: 1, base: 0, previous: 0 };
        let view = Arc::new(SegmentView::new("segment".to_owned(), header));
        published.push(Arc::clone(&view));
        published.set_last_sequence(1);
        // Large enough for an anchor; where the segment ends is not told yet.
        view.add_records(100_000, 1, std::iter::once(64));
        let found = published.scan(0, ScanLimit { messages: 1, bytes: 1 }).unwrap();
        assert!(found.is_empty());
    }
}
