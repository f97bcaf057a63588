//! Checking a journal that no process has open, without changing it.

use std::{collections::HashSet, fmt, ops::ControlFlow};

use bytes::Bytes;

use super::{
    disk::Disk,
    error::{Damage, InspectError, OpenError, Progress},
    frame::Kind,
    reader::message,
    record, repair,
    scrub::{Event, Frame, Tail, scrub, segment_names},
};

/// What a journal consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Its files, in log order. Unreadable ones are in `damage` only.
    pub segments: Vec<SegmentReport>,
    /// Sequence of the last record, lost ones included; zero if there is none.
    pub last_sequence: u64,
    /// Records that an earlier repair gave up. Their sequences are not used again.
    pub lost_records: u64,
    /// What a crash left unfinished at the end. It was never acknowledged, and opening the journal
    /// removes it.
    pub unfinished: Option<Damage>,
    /// Everything that is not as it was written.
    pub damage: Vec<Damage>,
}

/// One file of a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its name.
    pub file: String,
    /// Valid frames, seals included.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of the frames.
    pub bytes: u64,
}

impl VerifyReport {
    /// Whether the journal can be opened and holds everything that was stored in it.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    /// Readable records.
    pub fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for SegmentReport { file, frames, records, bytes } in &self.segments {
            writeln!(f, "{file}: {records} records in {frames} frames, {bytes} bytes")?;
        }
        writeln!(f, "{} records, the last sequence is {}", self.records(), self.last_sequence)?;
        if self.lost_records > 0 {
            writeln!(f, "{} records were lost before an earlier repair", self.lost_records)?;
        }
        if let Some(Damage { file, offset, problem }) = &self.unfinished {
            writeln!(
                f,
                "{file} ends with an unfinished write at offset {offset} ({problem}): it was never \
                 acknowledged, and starting the service removes it"
            )?;
        }
        for damage in &self.damage {
            writeln!(f, "{damage}")?;
        }
        match self.damage.len() {
            0 => f.write_str("The journal is sound."),
            1 => f.write_str("The journal is damaged in 1 place."),
            places => write!(f, "The journal is damaged in {places} places."),
        }
    }
}

/// Checks everything in the journal on `disk`, and changes nothing. The journal is locked until this
/// returns. Damage is no error here: all of it is in the report.
///
/// With a [`ReadOnlyDisk`](super::disk::ReadOnlyDisk) nothing at all is written, not even a lock file.
///
/// Keeps all ids in memory, to find any that was stored twice.
///
/// # Errors
/// [`InspectError`] if there is none, or it is in use, cannot be read, or is of a later version.
pub fn verify(
    disk: &dyn Disk,
    progress: &mut dyn FnMut(Progress),
) -> Result<VerifyReport, InspectError> {
    must_exist(disk)?;
    let lock = disk.lock().map_err(OpenError::from)?;
    if repair::is_unfinished(disk)? {
        return Err(OpenError::RepairUnfinished.into());
    }
    let (segments, foreign) = segment_names(disk)?;
    let mut report = VerifyReport { damage: foreign, ..VerifyReport::default() };
    let mut ids = HashSet::new();
    let end = scrub(disk, &segments, &mut |event| report.event(event, &mut ids), progress)?;
    report.last_sequence = end.chain.last_sequence();
    report.unfinished = match end.tail {
        Tail::Clean => None,
        Tail::Torn(damage) => Some(damage),
        Tail::IncompleteSegment(file) => Some(Damage::new(file, 0, "the segment was not finished")),
    };
    // What changed while it was read may look like damage and be none.
    lock.check().map_err(OpenError::from)?;
    Ok(report)
}

/// Says so if the directory holds no journal at all. An empty one has a segment; one whose repair was
/// interrupted may have none.
///
/// # Errors
/// [`InspectError`] if there is none, or the directory cannot be read.
pub(super) fn must_exist(disk: &dyn Disk) -> Result<(), InspectError> {
    let (segments, foreign) = segment_names(disk)?;
    if segments.is_empty() && foreign.is_empty() && !repair::is_unfinished(disk)? {
        return Err(InspectError::NoJournal);
    }
    Ok(())
}

impl VerifyReport {
    fn event(&mut self, event: Event<'_, '_>, ids: &mut HashSet<[u8; 16]>) -> ControlFlow<()> {
        match event {
            Event::Segment(segment) => self
                .segments
                .push(SegmentReport { file: segment.name.clone(), ..SegmentReport::default() }),
            Event::Frame(frame) => self.frame(frame, ids),
            Event::Damage { damage, .. } => self.damage.push(damage),
        }
        ControlFlow::Continue(())
    }

    fn frame(&mut self, frame: Frame<'_>, ids: &mut HashSet<[u8; 16]>) {
        let Some(segment) = self.segments.last_mut() else {
            unreachable!("a scrub told of a frame before any segment")
        };
        segment.frames += 1;
        segment.bytes += frame.header.frame_bytes();
        if frame.header.kind == Kind::Lost {
            self.lost_records += u64::from(frame.header.count);
        }
        for (bytes, record) in frame.records() {
            let sequence = frame.header.first_sequence + u64::from(record.ordinal);
            let problem = if !record::is_intact(bytes, record.len, sequence) {
                "the checksum of the record is wrong".to_owned()
            } else if message(&record, Bytes::new()).is_none() {
                "the record is not a message".to_owned()
            } else if !ids.insert(record.id) {
                format!("the id of record {sequence} was stored before")
            } else {
                segment.records += 1;
                continue;
            };
            let offset = frame.offset + u64::from(record.distance);
            self.damage.push(Damage::new(&segment.file, offset, problem));
        }
    }
}
