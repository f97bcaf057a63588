//! Segments: the files of the log.
//!
//! A segment is a header of [`HEADER_BYTES`], frames without a gap, and zeros.

use crc32c::crc32c;

use super::{
    bytes::{file_len, u32_at, u64_at},
    frame::FORMAT_VERSION,
};

/// Bytes before the first frame.
pub(super) const HEADER_BYTES: usize = 64;

/// How a segment begins.
const MAGIC: [u8; 8] = *b"\xf5oncelog";

const CHECKSUM_OFFSET: usize = HEADER_BYTES - 4;

const SUFFIX: &str = ".segment";

/// No log gets this long: a million records a second for nine years. A number beyond it is damage,
/// and believing it would make a repair write a gap without end.
pub(super) const SEQUENCE_MAX: u64 = 1 << 48;

/// Any sequence fits, and names sort as their numbers do.
const NAME_DIGITS: usize = 20;

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Random number that all frames of the segment repeat.
    pub(super) epoch: u64,
    /// Sequence of the first record; also the name of the file.
    pub(super) first_sequence: u64,
    /// Address of the first byte of the file in the log.
    pub(super) base: u64,
    /// Checksum of the last frame of the segment before; zero in the first segment.
    pub(super) previous: u32,
}

/// Why bytes are not the header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// Not the magic number, a wrong checksum, or nonsense.
    Invalid(&'static str),
    /// Whole, and written by a later version.
    Version(u8),
}

impl Header {
    /// The header as on disk, and its checksum.
    pub(super) fn encode(&self) -> ([u8; HEADER_BYTES], u32) {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8] = FORMAT_VERSION;
        bytes[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.base.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.previous.to_le_bytes());
        let checksum = crc32c(&bytes[..CHECKSUM_OFFSET]);
        bytes[CHECKSUM_OFFSET..].copy_from_slice(&checksum.to_le_bytes());
        (bytes, checksum)
    }

    /// The header and its checksum. Later versions keep magic number, version and checksum where
    /// they are, so that this one can tell them from damage.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<(Self, u32), NoHeader> {
        if bytes[..8] != MAGIC {
            return Err(NoHeader::Invalid("it does not begin like a segment"));
        }
        let checksum = crc32c(&bytes[..CHECKSUM_OFFSET]);
        if checksum != u32_at(bytes, CHECKSUM_OFFSET) {
            return Err(NoHeader::Invalid("the checksum of the segment's header is wrong"));
        }
        if bytes[8] != FORMAT_VERSION {
            return Err(NoHeader::Version(bytes[8]));
        }
        if bytes[9..16] != [0; 7] || bytes[44..CHECKSUM_OFFSET] != [0; 16] {
            return Err(NoHeader::Invalid("the segment's header has values that mean nothing"));
        }
        let header = Self {
            epoch: u64_at(bytes, 16),
            first_sequence: u64_at(bytes, 24),
            base: u64_at(bytes, 32),
            previous: u32_at(bytes, 40),
        };
        Ok((header, checksum))
    }

    /// Address in the log of what is `offset` bytes into the file.
    pub(super) fn address(&self, offset: u64) -> u64 {
        self.base.saturating_add(offset)
    }
}

/// Where the first frame of a segment is.
pub(super) fn first_frame_offset() -> u64 {
    file_len(HEADER_BYTES)
}

/// The name of the segment that begins with `first_sequence`.
pub(super) fn name(first_sequence: u64) -> String {
    format!("{first_sequence:0NAME_DIGITS$}{SUFFIX}")
}

/// What the name of a file says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// A segment that begins with this sequence.
    Segment(u64),
    /// It looks like a segment, but the journal gives no such name.
    Foreign,
    /// Something else.
    Other,
}

/// What `file_name` says about a file.
pub(super) fn parse_name(file_name: &str) -> Named {
    let Some(digits) = file_name.strip_suffix(SUFFIX) else { return Named::Other };
    match digits.parse() {
        Ok(sequence) if sequence <= SEQUENCE_MAX && name(sequence) == file_name => {
            Named::Segment(sequence)
        }
        Ok(_) | Err(_) => Named::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { epoch: 5, first_sequence: 42, base: 4096, previous: 77 };

    #[test]
    fn a_segment_header_comes_back_as_it_was_written() {
        let (bytes, checksum) = HEADER.encode();
        assert_eq!(Header::decode(&bytes), Ok((HEADER, checksum)));
    }

    #[test]
    fn no_single_flipped_bit_leaves_a_segment_header_valid() {
        let (bytes, _) = HEADER.encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Header::decode(&flipped), Err(NoHeader::Invalid(_))), "bit {bit}");
        }
    }

    #[test]
    fn only_names_the_journal_gives_are_segments() {
        assert_eq!(parse_name("00000000000000000042.segment"), Named::Segment(42));
        assert_eq!(parse_name(&name(SEQUENCE_MAX)), Named::Segment(SEQUENCE_MAX));
        let beyond = name(SEQUENCE_MAX + 1);
        for foreign in [&beyond, "42.segment", "copy of 00000000000000000042.segment", ".segment"] {
            assert_eq!(parse_name(foreign), Named::Foreign, "{foreign}");
        }
        for other in ["LOCK", "00000000000000000042.segment.backup-1", "notes.txt", ""] {
            assert_eq!(parse_name(other), Named::Other, "{other}");
        }
    }
}
