//! Frames: what one sync makes durable.
//!
//! A frame is a header of [`HEADER_BYTES`], a payload of records, and a checksum.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc32c::crc32c_append;

use super::{
    bytes::{u32_at, u64_at},
    format::{HEADER_BYTES, HeaderFormat, NoHeader, SEQUENCE_MAX},
};

/// Bytes after the payload: the frame's checksum.
pub(super) const TRAILER_BYTES: usize = 4;

/// A frame without payload.
pub(super) const EMPTY_FRAME_BYTES: u64 = (HEADER_BYTES + TRAILER_BYTES) as u64;

const FORMAT: HeaderFormat<4> = HeaderFormat {
    magic: [FIRST_BYTE, b'O', b'L', b'F'],
    no_magic: "no frame begins here",
    wrong_checksum: "the checksum of the frame's header is wrong",
};

/// The first byte of each frame. It cannot occur in UTF-8, so that a search for frames passes over
/// text quickly.
pub(super) const FIRST_BYTE: u8 = 0xf5;

/// What a frame holds. The numbers are on disk for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Records of one commit.
    Data = 1,
    /// Nothing: the seal of the frames before it, which proves that they were durable.
    Mark = 2,
    /// Nothing: its sequences were lost, and a repair says so.
    Lost = 3,
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The salt of its segment.
    pub(super) salt: u64,
    /// Where the frame is in the log. A copy of it anywhere else is no frame.
    pub(super) address: u64,
    /// Sequence of the first record; of the next one, if there is none.
    pub(super) first_sequence: u64,
    /// All records up to this one were durable when the frame was written.
    pub(super) synced_upto: u64,
    /// Nanoseconds since 1970.
    pub(super) stored_at: i64,
    /// Sequences of the frame.
    pub(super) count: u32,
    pub(super) payload_bytes: u32,
    /// Checksum of the frame before, or of the segment's header.
    pub(super) previous: u32,
}

impl Header {
    /// The header as on disk, and its checksum.
    ///
    /// # Panics
    /// The header contradicts itself, so that no reader would take it for one.
    pub(super) fn encode(&self) -> ([u8; HEADER_BYTES], u32) {
        assert!(self.has_consistent_counts(), "a frame contradicts itself: {self:?}");
        let mut bytes = [0; HEADER_BYTES];
        bytes[5] = self.kind as u8;
        bytes[8..16].copy_from_slice(&self.salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.address.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.synced_upto.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.stored_at.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.count.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.previous.to_le_bytes());
        FORMAT.encode(bytes)
    }

    /// The header and its checksum.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<(Self, u32), NoHeader> {
        let checksum = FORMAT.check(bytes)?;
        let kind = match bytes[5] {
            1 => Kind::Data,
            2 => Kind::Mark,
            3 => Kind::Lost,
            _ => return Err(NoHeader::Invalid("the kind of the frame is unknown")),
        };
        let header = Self {
            kind,
            salt: u64_at(bytes, 8),
            address: u64_at(bytes, 16),
            first_sequence: u64_at(bytes, 24),
            synced_upto: u64_at(bytes, 32),
            stored_at: u64_at(bytes, 40).cast_signed(),
            count: u32_at(bytes, 48),
            payload_bytes: u32_at(bytes, 52),
            previous: u32_at(bytes, 56),
        };
        if bytes[6..8] != [0, 0]
            || !header.has_consistent_counts()
            || header.first_sequence > SEQUENCE_MAX
        {
            return Err(NoHeader::Invalid("the frame's header contradicts itself"));
        }
        Ok((header, checksum))
    }

    fn has_consistent_counts(&self) -> bool {
        let shape = match self.kind {
            Kind::Data => self.count > 0,
            Kind::Mark => self.count == 0 && self.payload_bytes == 0,
            Kind::Lost => self.count > 0 && self.payload_bytes == 0,
        };
        shape && self.synced_upto < self.first_sequence
    }

    /// Bytes of the whole frame.
    pub(super) fn frame_bytes(&self) -> u64 {
        EMPTY_FRAME_BYTES + u64::from(self.payload_bytes)
    }

    /// The sequence after the last one of the frame.
    pub(super) fn next_sequence(&self) -> u64 {
        // [`SEQUENCE_MAX`] leaves space for any count.
        self.first_sequence + u64::from(self.count)
    }

    pub(super) fn stored_at(&self) -> SystemTime {
        let distance = Duration::from_nanos(self.stored_at.unsigned_abs());
        let time = if self.stored_at < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}

/// The checksum of a frame, from that of its header.
///
/// It leaves out the header's own checksum field: a CRC over data followed by the CRC of that data
/// is the same number for all data, so that nothing of the header would be left in it.
pub(super) fn checksum(header_checksum: u32, payload: &[u8]) -> u32 {
    crc32c_append(header_checksum, payload)
}

/// Nanoseconds since 1970, as near as they can be written.
pub(super) fn unix_nanos(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        kind: Kind::Data,
        salt: 0x1122_3344_5566_7788,
        address: 64,
        first_sequence: 7,
        synced_upto: 6,
        stored_at: 1_700_000_000_123_456_789,
        count: 2,
        payload_bytes: 99,
        previous: 0xdead_beef,
    };

    #[test]
    fn a_header_comes_back_as_it_was_written() {
        let (bytes, checksum) = HEADER.encode();
        assert_eq!(Header::decode(&bytes), Ok((HEADER, checksum)));
    }

    #[test]
    fn no_single_flipped_bit_leaves_a_header_valid() {
        let (bytes, _) = HEADER.encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                matches!(Header::decode(&flipped), Err(NoHeader::Invalid(_))),
                "bit {bit} went unnoticed"
            );
        }
    }

    #[test]
    fn frames_that_differ_only_in_their_headers_have_different_checksums() {
        let (_, one) = HEADER.encode();
        let (_, other) = Header { first_sequence: 8, ..HEADER }.encode();
        assert_ne!(checksum(one, b"payload"), checksum(other, b"payload"));
    }

    #[test]
    fn a_header_of_a_later_version_is_told_from_a_damaged_one() {
        let (mut bytes, _) = HEADER.encode();
        bytes[4] = 2;
        let checksum = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(NoHeader::Version(2)));
    }

    #[test]
    fn a_time_keeps_its_nanoseconds_on_both_sides_of_1970() {
        for nanos in [0, 1, -1, 1_700_000_000_123_456_789, -5_000_000_001] {
            let header = Header { stored_at: nanos, ..HEADER };
            assert_eq!(unix_nanos(header.stored_at()), nanos);
        }
    }
}
