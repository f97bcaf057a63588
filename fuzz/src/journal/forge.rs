//! Forges segments: a second, independent implementation of the journal's format.
//!
//! No fuzzer guesses a checksum, so what is behind one would never be reached.

use std::ops::Range;

use crc32c::crc32c;

pub(super) const HEADER: usize = 64;
const CHECKED: usize = HEADER - 4;
const TRAILER: usize = 4;
const RECORD_HEADER: usize = 34;
const SEGMENT_MAGIC: &[u8; 8] = b"\xf5oncelog";
pub(super) const FRAME_MAGIC: &[u8; 4] = b"\xf5OLF";

/// What is forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forgery {
    Nothing,
    /// Magic numbers, versions and checksums.
    Checksums,
    /// And what links each frame to its place and to the frame before it.
    Chain,
}

impl Forgery {
    pub(super) fn from_choice(choice: u8) -> Self {
        match choice % 3 {
            0 => Self::Nothing,
            1 => Self::Checksums,
            _ => Self::Chain,
        }
    }
}

pub(super) fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(wide)
}

fn put(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// Where the frames of a segment are, by the lengths they give.
pub(super) fn frames(segment: &[u8]) -> Vec<Range<usize>> {
    let mut frames = Vec::new();
    let mut at = HEADER;
    while segment.get(at..at + HEADER).is_some_and(|header| header.starts_with(FRAME_MAGIC)) {
        let payload = number::<4>(segment, at + 52) as usize;
        let end = at + HEADER + payload + TRAILER;
        if end > segment.len() {
            break;
        }
        frames.push(at..end);
        at = end;
    }
    frames
}

/// Forges a segment.
pub(super) fn forge(segment: &mut [u8], what: Forgery) {
    if what == Forgery::Nothing || segment.len() < HEADER {
        return;
    }
    segment[..8].copy_from_slice(SEGMENT_MAGIC);
    segment[8] = 1;
    segment[9..16].fill(0);
    segment[44..CHECKED].fill(0);
    let mut previous = crc32c(&segment[..CHECKED]);
    put(segment, CHECKED, previous);
    let (salt, base) = (number::<8>(segment, 16), number::<8>(segment, 32));
    let mut sequence = number::<8>(segment, 24);
    let mut at = HEADER;
    while segment.len() - at >= HEADER + TRAILER && segment[at] == FRAME_MAGIC[0] {
        let payload = number::<4>(segment, at + 52) as usize;
        let end = at + HEADER + payload + TRAILER;
        let whole = end.min(segment.len());
        let frame = &mut segment[at..whole];
        if what == Forgery::Chain {
            frame[8..16].copy_from_slice(&salt.to_le_bytes());
            let address = base.wrapping_add(at as u64);
            frame[16..24].copy_from_slice(&address.to_le_bytes());
            frame[24..32].copy_from_slice(&sequence.to_le_bytes());
            frame[32..40].copy_from_slice(&sequence.saturating_sub(1).to_le_bytes());
            put(frame, 56, previous);
        }
        sequence = sequence.wrapping_add(number::<4>(frame, 48));
        previous = forge_frame(frame, whole == end, what);
        at = whole;
    }
}

/// Returns its checksum.
fn forge_frame(frame: &mut [u8], is_whole: bool, what: Forgery) -> u32 {
    frame[..4].copy_from_slice(FRAME_MAGIC);
    frame[4] = 1;
    frame[6..8].fill(0);
    let header = crc32c(&frame[..CHECKED]);
    put(frame, CHECKED, header);
    let end = if is_whole { frame.len() - TRAILER } else { frame.len() };
    let first = number::<8>(frame, 24);
    forge_records(&mut frame[..end], first, what);
    let checksum = crc32c::crc32c_append(header, &frame[HEADER..end]);
    if is_whole {
        put(frame, end, checksum);
    }
    checksum
}

fn forge_records(frame: &mut [u8], first_sequence: u64, what: Forgery) {
    let (mut at, mut ordinal) = (HEADER, 0);
    while frame.len() - at >= RECORD_HEADER {
        if what == Forgery::Chain {
            put(frame, at + 4, at as u32);
            put(frame, at + 8, ordinal);
        }
        let texts = usize::from(frame[at + 32]) + usize::from(frame[at + 33]);
        let end = at + RECORD_HEADER + texts + number::<4>(frame, at + 12) as usize;
        if end > frame.len() {
            break;
        }
        let sequence = first_sequence.wrapping_add(number::<4>(frame, at + 8));
        let checksum = record_checksum(sequence, &frame[at..end]);
        put(frame, at, checksum);
        (at, ordinal) = (end, ordinal + 1);
    }
}

/// The checksum that `record` should have as the one with `sequence`.
fn record_checksum(sequence: u64, record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c(&sequence.to_le_bytes()), &record[4..])
}

/// Whether a record of `id` and `body` is in `file` that has the right checksum for `sequence`.
pub(super) fn holds(file: &[u8], sequence: u64, id: &[u8; 16], body: &[u8]) -> bool {
    file.windows(16).enumerate().filter(|(_, window)| window == id).any(|(at, _)| {
        let Some(record) = at.checked_sub(16).map(|start| &file[start..]) else { return false };
        if record.len() < RECORD_HEADER {
            return false;
        }
        let texts = usize::from(record[32]) + usize::from(record[33]);
        let len = RECORD_HEADER + texts + number::<4>(record, 12) as usize;
        record.get(..len).is_some_and(|record| {
            record.ends_with(body)
                && number::<4>(record, 0) == u64::from(record_checksum(sequence, record))
        })
    })
}
