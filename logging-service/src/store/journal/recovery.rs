//! Opening a journal: check everything, then cut what was not finished, then go on.

use std::{io, ops::ControlFlow, sync::Arc};

use oncelog::message::MessageId;

use super::{
    Journal, Options,
    bytes::memory_len,
    chain::ChainTail,
    disk::{Disk, DiskFile},
    error::{Damage, OpenError, Progress},
    frame::Kind,
    frame_builder::FrameBuilder,
    place::Place,
    reader::{Published, SegmentView},
    repair,
    scrub::{self, End, Event, Frame, Segment, Tail, scrub},
    segment::{self, first_frame_offset},
    writer::{ActiveSegment, Writer, cut, reserve_if_possible},
};
use crate::store::Address;

impl Journal {
    /// Opens the journal on `disk`, or starts one if there is none, and keeps it locked until it is
    /// dropped.
    ///
    /// `on_record` is called for each record in order of sequences, beginning before the whole
    /// journal has been checked: if this fails, forget what it told. `progress` is called now and
    /// then.
    ///
    /// Before anything is read, everything is synced: what an earlier process wrote and did not
    /// sync may be in memory only. An unfinished frame at the end is cut off; it was never
    /// acknowledged. A crash during this loses nothing that was acknowledged: opening again does
    /// what is left to do.
    ///
    /// # Errors
    /// [`OpenError`]. If the journal is damaged or of a later version, nothing on disk is changed.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        on_record: &mut dyn FnMut(MessageId, Address),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, OpenError> {
        let lock = disk.lock()?;
        let segments = checked_names(&*disk)?;
        sync_all(&*disk, &segments)?;
        let mut replay = Replay {
            published: Published::new(Arc::clone(&disk), options.open_segments_max),
            current: None,
            last_frame: None,
            needs_seal: false,
            damage: None,
            on_record,
        };
        let end = scrub(&*disk, &segments, &mut |event| replay.event(event), progress)?;
        if let Some(damage) = replay.damage {
            return Err(OpenError::Damaged(damage));
        }
        replay.published.open_files()?;
        // Everything is checked. Changes begin here.
        let writer = match replay.current.take() {
            Some((segment, view)) => {
                resume(&disk, options, segment, &view, replay.last_frame, &end)?
            }
            None => begin(&disk, options, &end)?,
        };
        replay.published.set_last_sequence(end.chain.last_sequence());
        Ok(Self {
            writer,
            published: Arc::new(replay.published),
            frame: FrameBuilder::new(),
            needs_seal: replay.needs_seal,
            wanted_bytes: 0,
            failure: None,
            place: Place::new(disk, lock),
            orphaned: None,
        })
    }
}

fn checked_names(disk: &dyn Disk) -> Result<Vec<u64>, OpenError> {
    if repair::is_unfinished(disk)? {
        return Err(OpenError::RepairUnfinished);
    }
    let (segments, foreign) = scrub::segment_names(disk)?;
    match foreign.into_iter().next() {
        Some(damage) => Err(OpenError::Damaged(damage)),
        None => Ok(segments),
    }
}

fn sync_all(disk: &dyn Disk, segments: &[u64]) -> Result<(), OpenError> {
    disk.sync_dir().map_err(OpenError::io("sync the data directory"))?;
    for sequence in segments {
        let name = segment::name(*sequence);
        let synced = disk.open(&name).and_then(|file| file.sync_data());
        synced.map_err(OpenError::io(format!("sync {name}")))?;
    }
    Ok(())
}

/// Rebuilds from the log what the journal keeps in memory.
struct Replay<'a> {
    published: Published,
    current: Option<(Segment, Arc<SegmentView>)>,
    /// Offset of the last frame of the current segment, and its length.
    last_frame: Option<(u64, u64)>,
    needs_seal: bool,
    damage: Option<Damage>,
    on_record: &'a mut dyn FnMut(MessageId, Address),
}

impl Replay<'_> {
    fn event(&mut self, event: Event<'_, '_>) -> ControlFlow<()> {
        match event {
            Event::Segment(segment) => {
                let view = Arc::new(SegmentView::new(segment.name.clone(), segment.header));
                self.published.push(Arc::clone(&view));
                self.current = Some((segment.clone(), view));
                self.last_frame = None;
            }
            Event::Frame(frame) => self.frame(frame),
            Event::Damage { damage, .. } => {
                self.damage = Some(damage);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn frame(&mut self, frame: Frame<'_>) {
        let Some((_, view)) = &self.current else {
            unreachable!("a scrub told of a frame before any segment")
        };
        let header = frame.header;
        for (_, record) in frame.records() {
            let Ok(id) = MessageId::try_from(record.id) else {
                unreachable!("a scrub told of a record without an id")
            };
            (self.on_record)(id, Address(header.address + u64::from(record.distance)));
        }
        let distances = frame.records().map(|(_, record)| record.distance);
        view.add_records(frame.offset, header.first_sequence, distances);
        view.set_end(frame.offset + header.frame_bytes());
        self.last_frame = Some((frame.offset, header.frame_bytes()));
        self.needs_seal = match header.kind {
            Kind::Data => true,
            Kind::Mark | Kind::Lost => false,
        };
    }
}

/// Goes on in the last segment.
fn resume(
    disk: &Arc<dyn Disk>,
    options: Options,
    segment: Segment,
    view: &SegmentView,
    last_frame: Option<(u64, u64)>,
    end: &End,
) -> Result<Writer, OpenError> {
    let name = segment.name.clone();
    let file = disk.open(&name).map_err(OpenError::io(format!("open {name}")))?;
    let offset = last_frame.map_or(first_frame_offset(), |(at, len)| at + len);
    let capacity = match &end.tail {
        Tail::Clean => keep_reserved(&*file, options.segment_bytes),
        Tail::IncompleteSegment(incomplete) => {
            remove(&**disk, incomplete).and_then(|()| keep_reserved(&*file, options.segment_bytes))
        }
        Tail::Torn(_) => cut(&*file, offset, options.segment_bytes.max(offset)),
    }
    .map_err(OpenError::io(format!("cut the unfinished end of {name}")))?;
    rewrite_tail(&*file, &segment, last_frame).map_err(OpenError::io(format!("write {name}")))?;
    let identity = file.identity().map_err(OpenError::io(format!("look at {name}")))?;
    view.keep_open(Arc::clone(&file));
    let header = segment.header;
    let segment =
        ActiveSegment { name, header, file, identity, end: offset, capacity, initialized: offset };
    Ok(Writer::resume(Arc::clone(disk), options, segment, end.chain))
}

/// How far the file is reserved, after an attempt to reserve it up to `segment_bytes`.
fn keep_reserved(file: &dyn DiskFile, segment_bytes: u64) -> io::Result<u64> {
    let len = file.len()?;
    if len < segment_bytes { reserve_if_possible(file, segment_bytes) } else { Ok(len) }
}

/// Writes the last frame and the header of its segment once more, and syncs them.
///
/// If the sync of an earlier process failed, they may be in memory only, and count as written
/// there: a sync alone would report success for what the disk never got.
fn rewrite_tail(
    file: &dyn DiskFile,
    segment: &Segment,
    last_frame: Option<(u64, u64)>,
) -> io::Result<()> {
    let (header, _) = segment.header.encode();
    file.write_all_at(0, &header)?;
    if let Some((at, len)) = last_frame {
        let mut frame = vec![0; memory_len(len)];
        file.read_at(at, &mut frame)?;
        file.write_all_at(at, &frame)?;
    }
    file.sync_data()
}

fn remove(disk: &dyn Disk, name: &str) -> io::Result<()> {
    disk.remove(name)?;
    disk.sync_dir()
}

/// Begins a new log.
fn begin(disk: &Arc<dyn Disk>, options: Options, end: &End) -> Result<Writer, OpenError> {
    if let Tail::IncompleteSegment(name) = &end.tail {
        remove(&**disk, name).map_err(OpenError::io(format!("remove the unfinished {name}")))?;
    }
    Writer::begin(Arc::clone(disk), options, ChainTail::START, "")
        .map_err(|error| OpenError::io("create the first segment")(error.into_io()))
}
