//! Segments: the files of the log.
//!
//! A segment is a header of [`HEADER_BYTES`], frames without a gap, and zeros up to its reserved
//! length.

use super::{
    bytes::{file_len, u32_at, u64_at},
    format::{CHECKSUM_OFFSET, HEADER_BYTES, HeaderFormat, NoHeader, SEQUENCE_MAX},
};

const FORMAT: HeaderFormat<8> = HeaderFormat {
    magic: *b"\xf5oncelog",
    no_magic: "it does not begin like a segment",
    wrong_checksum: "the checksum of the segment's header is wrong",
};

const SUFFIX: &str = ".segment";

/// Any sequence fits, and names sort as their numbers do.
const NAME_DIGITS: usize = 20;

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Random number that all frames of the segment repeat: no client can make a frame of this
    /// segment, and a stale frame of another segment is none.
    pub(super) salt: u64,
    /// Sequence of the first record; also the name of the file.
    pub(super) first_sequence: u64,
    /// Address of the first byte of the file in the log.
    pub(super) base: u64,
    /// Checksum of the last frame of the segment before; zero in the first segment.
    pub(super) previous: u32,
}

impl Header {
    /// The header as on disk, and its checksum.
    pub(super) fn encode(&self) -> ([u8; HEADER_BYTES], u32) {
        let mut bytes = [0; HEADER_BYTES];
        bytes[16..24].copy_from_slice(&self.salt.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.base.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.previous.to_le_bytes());
        FORMAT.encode(bytes)
    }

    /// The header and its checksum.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<(Self, u32), NoHeader> {
        let checksum = FORMAT.check(bytes)?;
        if bytes[9..16] != [0; 7] || bytes[44..CHECKSUM_OFFSET] != [0; 16] {
            return Err(NoHeader::Invalid("the segment's header has values that mean nothing"));
        }
        let header = Self {
            salt: u64_at(bytes, 16),
            first_sequence: u64_at(bytes, 24),
            base: u64_at(bytes, 32),
            previous: u32_at(bytes, 40),
        };
        Ok((header, checksum))
    }

    /// Address in the log of what is `offset` bytes into the file. A damaged base may be any number,
    /// so the sum is bounded.
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

    const HEADER: Header = Header { salt: 5, first_sequence: 42, base: 4096, previous: 77 };

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
