//! One pass over the whole log that believes nothing: recovery, verification and repair all see
//! the log through it, so that they cannot disagree about what is damage.
//!
//! A [`Scrub`] tells its listener about each segment, frame and damage in log order. After damage
//! it looks for the next frame that is surely one and goes on there, unless the listener has had
//! enough.

mod frames;

use std::{io, ops::ControlFlow};

use super::{
    chain::ChainTail,
    disk::Disk,
    error::{Damage, OpenError, Progress},
    format::NoHeader,
    frame,
    record::{self, Record},
    segment::{self, Named, first_frame_offset},
    window::Window,
};

/// How often progress is reported.
const PROGRESS_BYTES: u64 = 1024 * 1024;

/// A segment that is or will be read.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) header: segment::Header,
    /// The end of the log before it.
    pub(super) before: ChainTail,
}

/// A whole frame in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) offset: u64,
    pub(super) header: &'a frame::Header,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The records, whose number and places were checked.
    pub(super) fn records(&self) -> impl Iterator<Item = (&'a [u8], Record<'a>)> + use<'a> {
        records(self.payload)
    }
}

/// The records of a payload with their bytes, as far as they can be read.
pub(super) fn records(payload: &[u8]) -> impl Iterator<Item = (&[u8], Record<'_>)> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let record = record::parse(rest)?;
        let (bytes, after) = rest.split_at_checked(record.len)?;
        rest = after;
        Some((bytes, record))
    })
}

/// Bytes where a frame should be, up to the next frame or the end of the file.
pub(super) struct UnreadableRange<'a, 'w> {
    pub(super) window: &'a mut Window<'w>,
    pub(super) from: u64,
    pub(super) to: u64,
    /// The header of the frame that is at `from`, if that much is intact.
    pub(super) header: Option<frame::Header>,
    /// The sequence that should come next at `from`.
    pub(super) next_sequence: u64,
    /// The sequence that comes next at `to`, if a frame is there.
    pub(super) resumes_with: Option<u64>,
}

/// What a scrub finds on its way.
pub(super) enum Event<'a, 'w> {
    /// A segment begins.
    Segment(&'a Segment),
    /// A valid frame of the segment that began last.
    Frame(Frame<'a>),
    /// Something is wrong.
    Damage {
        damage: Damage,
        /// The end of the log before the file in which something is wrong.
        before_file: ChainTail,
        /// The bytes that cannot be read as frames, if there are any.
        unreadable: Option<UnreadableRange<'a, 'w>>,
    },
}

/// What a scrub found at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tail {
    /// Only zeros.
    Clean,
    /// A frame that was not finished: where, and why it is no frame.
    Torn(Damage),
    /// A segment that was created and got no valid header; its name.
    IncompleteSegment(String),
}

/// The end of the log.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) tail: Tail,
    pub(super) chain: ChainTail,
}

/// The files of a journal: its segments in order.
///
/// Also says which files only look like segments.
pub(super) fn segment_names(disk: &dyn Disk) -> Result<(Vec<u64>, Vec<Damage>), OpenError> {
    let mut segments = Vec::new();
    let mut foreign = Vec::new();
    for file in disk.list().map_err(OpenError::io("list the data directory"))? {
        match segment::parse_name(&file) {
            Named::Segment(sequence) => segments.push(sequence),
            Named::Foreign => foreign.push(Damage::new(
                file,
                0,
                "the name is not one the journal gives to a segment; move the file away if it does \
                 not belong here",
            )),
            Named::Other => {}
        }
    }
    segments.sort_unstable();
    foreign.sort_unstable_by(|a, b| a.file.cmp(&b.file));
    Ok((segments, foreign))
}

/// A pass over the log.
pub(super) struct Scrub<'a> {
    disk: &'a dyn Disk,
    listener: &'a mut dyn FnMut(Event<'_, '_>) -> ControlFlow<()>,
    progress: &'a mut dyn FnMut(Progress),
    reported: Progress,
    chain: ChainTail,
    /// The end of the log before the file that is read.
    before_file: ChainTail,
    /// Whether `chain` is only a guess, so that what comes next may contradict it.
    chain_is_guess: bool,
    tail: Tail,
}

/// Why a scrub ends early.
enum Stop {
    Enough,
    Error(OpenError),
}

impl From<OpenError> for Stop {
    fn from(error: OpenError) -> Self {
        Self::Error(error)
    }
}

/// A failed read of a segment.
fn unreadable(file: &str) -> impl FnOnce(io::Error) -> Stop {
    move |source| Stop::Error(OpenError::io(format!("read {file}"))(source))
}

/// Goes over the `segments` of `disk`, which are in order.
pub(super) fn scrub(
    disk: &dyn Disk,
    segments: &[u64],
    listener: &mut dyn FnMut(Event<'_, '_>) -> ControlFlow<()>,
    progress: &mut dyn FnMut(Progress),
) -> Result<End, OpenError> {
    let mut scrub = Scrub {
        disk,
        listener,
        progress,
        reported: Progress { done_bytes: 0, total_bytes: 0 },
        chain: ChainTail::START,
        before_file: ChainTail::START,
        chain_is_guess: false,
        tail: Tail::Clean,
    };
    match scrub.run(segments) {
        Ok(()) | Err(Stop::Enough) => {}
        Err(Stop::Error(error)) => return Err(error),
    }
    Ok(End { tail: scrub.tail, chain: scrub.chain })
}

impl Scrub<'_> {
    fn run(&mut self, segments: &[u64]) -> Result<(), Stop> {
        let mut files = Vec::with_capacity(segments.len());
        for sequence in segments {
            let name = segment::name(*sequence);
            let file = self.disk.open(&name).map_err(unreadable(&name))?;
            self.reported.total_bytes += file.len().map_err(unreadable(&name))?;
            files.push((*sequence, name));
        }
        let mut buffer = Vec::new();
        for (index, (sequence, name)) in files.iter().enumerate() {
            let file = self.disk.open(name).map_err(unreadable(name))?;
            let mut window = Window::new(&*file, &mut buffer).map_err(unreadable(name))?;
            let len = window.file_len;
            self.before_file = self.chain;
            let done_before = self.reported.done_bytes;
            self.segment(&mut window, name, *sequence, index + 1 == files.len())?;
            self.report(done_before + len);
        }
        Ok(())
    }

    fn report(&mut self, done_bytes: u64) {
        self.reported.done_bytes = done_bytes;
        (self.progress)(self.reported);
    }

    fn segment(
        &mut self,
        window: &mut Window<'_>,
        name: &str,
        sequence: u64,
        last: bool,
    ) -> Result<(), Stop> {
        let bytes = window.get(0, first_frame_offset()).map_err(unreadable(name))?;
        let decoded = bytes.first_chunk().map(segment::Header::decode);
        let (header, start) = match decoded {
            Some(Ok((header, checksum))) => {
                if !self.continues(name, sequence, &header)? {
                    return Ok(());
                }
                self.chain = ChainTail {
                    next_sequence: header.first_sequence,
                    address: header.address(first_frame_offset()),
                    checksum,
                };
                self.chain_is_guess = false;
                let name = name.to_owned();
                (Segment { name, header, before: self.before_file }, first_frame_offset())
            }
            Some(Err(NoHeader::Version(version))) => {
                return Err(OpenError::UnsupportedVersion { file: name.to_owned(), version }.into());
            }
            None | Some(Err(NoHeader::Invalid(_))) => {
                match self.without_header(window, name, sequence, last)? {
                    Some(found) => found,
                    None => return Ok(()),
                }
            }
        };
        self.tell(Event::Segment(&header))?;
        self.frames(window, &header, start, last)
    }

    /// Whether the segment `header` begins where the log ends so far. If it cannot be part of the
    /// log at all, it is passed over.
    fn continues(
        &mut self,
        name: &str,
        sequence: u64,
        header: &segment::Header,
    ) -> Result<bool, Stop> {
        let chain = self.chain;
        let problem = if header.first_sequence != sequence {
            format!(
                "it says that it begins with record {}, but its name does not; if it was renamed, give \
                 it its name back",
                header.first_sequence
            )
        } else if sequence < chain.next_sequence {
            format!("it begins with record {sequence}, but a segment before it has that one too")
        } else if self.chain_is_guess {
            return Ok(true);
        } else if sequence > chain.next_sequence {
            format!(
                "records {} to {} in front of it are missing",
                chain.next_sequence,
                sequence - 1
            )
        } else if header.base != chain.address || header.previous != chain.checksum {
            "it does not follow the segment in front of it".to_owned()
        } else {
            return Ok(true);
        };
        self.damage(name, 0, problem, None)?;
        Ok(header.first_sequence == sequence && sequence >= chain.next_sequence)
    }

    /// What to make of a segment without a valid header: an unfinished file, or damage with frames
    /// behind it.
    fn without_header(
        &mut self,
        window: &mut Window<'_>,
        name: &str,
        sequence: u64,
        last: bool,
    ) -> Result<Option<(Segment, u64)>, Stop> {
        let chain = self.chain;
        let found = window
            .find_frame(0, |offset, header| {
                header.address.checked_sub(offset).is_some_and(|base| base >= chain.address)
                    && header.first_sequence >= sequence.max(chain.next_sequence)
            })
            .map_err(unreadable(name))?;
        if found.is_none() && last && sequence == chain.next_sequence && !self.chain_is_guess {
            self.tail = Tail::IncompleteSegment(name.to_owned());
            return Ok(None);
        }
        self.damage(name, 0, "the segment's header is not valid", None)?;
        self.chain_is_guess = true;
        // The name alone proves that everything before it was there once.
        self.chain.next_sequence = self.chain.next_sequence.max(sequence);
        let Some((offset, frame)) = found else { return Ok(None) };
        let header = segment::Header {
            salt: frame.salt,
            first_sequence: sequence,
            base: frame.address - offset,
            previous: chain.checksum,
        };
        self.chain = ChainTail {
            next_sequence: frame.first_sequence,
            address: frame.address,
            checksum: frame.previous,
        };
        Ok(Some((Segment { name: name.to_owned(), header, before: self.before_file }, offset)))
    }

    fn tell(&mut self, event: Event<'_, '_>) -> Result<(), Stop> {
        match (self.listener)(event) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Enough),
        }
    }

    fn damage(
        &mut self,
        file: &str,
        offset: u64,
        problem: impl Into<String>,
        unreadable: Option<UnreadableRange<'_, '_>>,
    ) -> Result<(), Stop> {
        let damage = Damage::new(file, offset, problem);
        self.tell(Event::Damage { damage, before_file: self.before_file, unreadable })
    }
}
