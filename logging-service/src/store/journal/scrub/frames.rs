//! The frames of one segment.

use super::{
    Event, Frame, PROGRESS_BYTES, Scrub, Segment, Stop, Tail, UnreadableRange, unreadable,
};
use crate::store::journal::{
    bytes::{are_zero, array_at, file_len, u32_at},
    chain::ChainTail,
    error::{Damage, OpenError},
    format::{HEADER_BYTES, NoHeader},
    frame::{Header, Kind, TRAILER_BYTES, checksum},
    scrub::records,
    window::Window,
};

/// What is where a frame should begin.
enum Step {
    /// A whole frame, in its place.
    Frame { header: Header, checksum: u32, problem: Option<&'static str> },
    /// The end of the log in this segment.
    End,
    /// No frame. An unfinished write leaves it behind only where `may_be_torn`.
    Bad { header: Option<Header>, problem: &'static str, may_be_torn: bool },
}

impl Scrub<'_> {
    pub(super) fn frames(
        &mut self,
        window: &mut Window<'_>,
        segment: &Segment,
        start: u64,
        last: bool,
    ) -> Result<(), Stop> {
        let name = &segment.name;
        let done_before = self.reported.done_bytes;
        let mut offset = start;
        loop {
            if done_before + offset >= self.reported.done_bytes + PROGRESS_BYTES {
                self.report(done_before + offset);
            }
            let next = match self.step(window, segment, offset)? {
                Step::End => None,
                Step::Frame { header, checksum, problem } => {
                    if let Some(problem) = problem {
                        self.damage(name, offset, problem, None)?;
                    }
                    self.frame(window, segment, offset, &header, checksum)?;
                    Some(offset + header.frame_bytes())
                }
                Step::Bad { header, problem, may_be_torn } => {
                    let torn = last && may_be_torn;
                    self.unreadable_range(window, segment, offset, header, problem, torn)?
                }
            };
            match next {
                Some(next) => offset = next,
                None => break,
            }
        }
        self.reported.done_bytes = done_before;
        Ok(())
    }

    fn step(&self, window: &mut Window<'_>, segment: &Segment, offset: u64) -> Result<Step, Stop> {
        let name = &segment.name;
        let bad = |header, problem| Ok(Step::Bad { header, problem, may_be_torn: true });
        let bytes = window.get(offset, file_len(HEADER_BYTES)).map_err(unreadable(name))?;
        if are_zero(bytes) {
            let clean = window.is_zero_from(offset).map_err(unreadable(name))?;
            return if clean {
                Ok(Step::End)
            } else {
                bad(None, "there is something after the end")
            };
        }
        if bytes.len() < HEADER_BYTES {
            return bad(None, "the file ends inside a frame");
        }
        let (header, header_checksum) = match Header::decode(&array_at(bytes, 0)) {
            Ok(decoded) => decoded,
            Err(NoHeader::Version(version)) => {
                return Err(OpenError::UnsupportedVersion { file: name.clone(), version }.into());
            }
            Err(NoHeader::Invalid(problem)) => return bad(None, problem),
        };
        if header.salt != segment.header.salt {
            return bad(None, "a frame of another segment is here");
        }
        if header.address != segment.header.address(offset) {
            let problem = "a frame that belongs to another place is here";
            return Ok(Step::Bad { header: Some(header), problem, may_be_torn: false });
        }
        let frame = window.get(offset, header.frame_bytes()).map_err(unreadable(name))?;
        if file_len(frame.len()) < header.frame_bytes() {
            return bad(Some(header), "the file ends inside a frame");
        }
        let (rest, trailer) = frame.split_at(frame.len() - TRAILER_BYTES);
        let payload = &rest[HEADER_BYTES..];
        let checksum = checksum(header_checksum, payload);
        if checksum != u32_at(trailer, 0) {
            return bad(Some(header), "the checksum of the frame is wrong");
        }
        let problem = self.contradiction(&header, payload);
        Ok(Step::Frame { header, checksum, problem })
    }

    /// What a whole frame gets wrong about itself or about the log before it.
    fn contradiction(&self, header: &Header, payload: &[u8]) -> Option<&'static str> {
        if header.first_sequence != self.chain.next_sequence {
            Some("the frame does not go on where the records before it end")
        } else if header.previous != self.chain.checksum {
            Some("the frame does not follow the one before it")
        } else if header.kind == Kind::Data && !holds_its_records(header, payload) {
            Some("the records of the frame are not those its header tells of")
        } else {
            None
        }
    }

    fn frame(
        &mut self,
        window: &mut Window<'_>,
        segment: &Segment,
        offset: u64,
        header: &Header,
        checksum: u32,
    ) -> Result<(), Stop> {
        let bytes = window.get(offset, header.frame_bytes()).map_err(unreadable(&segment.name))?;
        let payload = &bytes[HEADER_BYTES..bytes.len() - TRAILER_BYTES];
        // Records that were read already are not read twice, whatever a damaged log says.
        if header.first_sequence >= self.chain.next_sequence {
            self.tell(Event::Frame(Frame { offset, header, payload }))?;
        }
        self.chain = ChainTail {
            next_sequence: self.chain.next_sequence.max(header.next_sequence()),
            address: segment.header.address(offset + header.frame_bytes()),
            checksum,
        };
        Ok(())
    }

    /// Something that is no frame: an unfinished write if nothing surely written comes after it,
    /// else damage. Returns where to go on; `None` at the end of the segment.
    fn unreadable_range(
        &mut self,
        window: &mut Window<'_>,
        segment: &Segment,
        offset: u64,
        header: Option<Header>,
        problem: &'static str,
        may_be_torn: bool,
    ) -> Result<Option<u64>, Stop> {
        let chain = self.chain;
        // A copy of a frame inside a message is not at its own address, so it proves nothing.
        let later = window
            .find_frame(offset + 1, |at, found| {
                found.salt == segment.header.salt
                    && found.address == segment.header.address(at)
                    && found.first_sequence >= chain.next_sequence
            })
            .map_err(unreadable(&segment.name))?;
        if may_be_torn && later.is_none() {
            self.tail = Tail::Torn(Damage::new(&segment.name, offset, problem));
            return Ok(None);
        }
        let to = later.map_or(window.file_len, |(at, _)| at);
        self.chain_is_guess = true;
        let resumes_with = later.map(|(_, later)| later.first_sequence);
        let next_sequence = chain.next_sequence;
        let unreadable =
            UnreadableRange { window, from: offset, to, header, next_sequence, resumes_with };
        self.damage(&segment.name, offset, problem, Some(unreadable))?;
        if let Some((_, later)) = later {
            self.chain = ChainTail {
                next_sequence: later.first_sequence,
                address: later.address,
                checksum: later.previous,
            };
            self.chain_is_guess = false;
        }
        Ok(later.map(|(at, _)| at))
    }
}

/// Whether the records of a data frame fill it and are as many as its header says.
fn holds_its_records(header: &Header, payload: &[u8]) -> bool {
    let mut count = 0;
    let mut bytes = 0;
    for (_, record) in records(payload) {
        let distance = HEADER_BYTES + bytes;
        if record.ordinal != count
            || u32::try_from(distance) != Ok(record.distance)
            || record.id == [0; 16]
        {
            return false;
        }
        count += 1;
        bytes += record.len;
    }
    count == header.count && bytes == payload.len()
}
