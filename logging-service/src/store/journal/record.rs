//! Records: one message each, in the payload of a data frame.

use crc32c::{crc32c, crc32c_append};
use oncelog::{
    limits::{CONTENT_TYPE_BYTES_MAX, STREAM_NAME_BYTES_MAX},
    message::Message,
};

use super::bytes::{array_at, file_len, fit, u32_at};

/// Bytes of a record before stream name, content type and body.
pub(super) const HEADER_BYTES: usize = 34;

/// The checksum comes first: at the end it would cancel out of the checksum of the whole frame.
const CHECKED_FROM: usize = 4;

/// A record as it is on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// From the start of the frame's header to the start of this record.
    pub(super) distance: u32,
    /// How many records are before it in the frame.
    pub(super) ordinal: u32,
    pub(super) id: [u8; 16],
    pub(super) stream: &'a [u8],
    pub(super) content_type: &'a [u8],
    pub(super) body: &'a [u8],
    /// Bytes of the whole record.
    pub(super) len: usize,
}

/// Appends the record of `message` to the frame in `buffer`. Returns its distance.
///
/// # Panics
/// The record or the frame is longer than it can be.
pub(super) fn encode(buffer: &mut Vec<u8>, ordinal: u32, sequence: u64, message: &Message) -> u32 {
    let start = buffer.len();
    let distance: u32 = fit(start);
    let stream = message.stream.as_str().as_bytes();
    let content_type = message.content_type.as_str().as_bytes();
    buffer.extend_from_slice(&[0; CHECKED_FROM]);
    buffer.extend_from_slice(&distance.to_le_bytes());
    buffer.extend_from_slice(&ordinal.to_le_bytes());
    buffer.extend_from_slice(&fit::<u32>(message.body.len()).to_le_bytes());
    buffer.extend_from_slice(message.id.as_bytes());
    buffer.push(fit(stream.len()));
    buffer.push(fit(content_type.len()));
    buffer.extend_from_slice(stream);
    buffer.extend_from_slice(content_type);
    buffer.extend_from_slice(&message.body);
    let record = &mut buffer[start..];
    let checksum = checksum(sequence, &record[CHECKED_FROM..]);
    record[..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    distance
}

const _: () = assert!(STREAM_NAME_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!(CONTENT_TYPE_BYTES_MAX <= u8::MAX as usize);

/// Bytes of the record that begins with `header`.
pub(super) fn len(header: &[u8; HEADER_BYTES]) -> u64 {
    file_len(HEADER_BYTES)
        + u64::from(header[32])
        + u64::from(header[33])
        + u64::from(u32_at(header, 12))
}

/// From the start of the frame to the record that begins with `header`.
pub(super) fn distance(header: &[u8; HEADER_BYTES]) -> u32 {
    u32_at(header, 4)
}

/// The record at the start of `bytes`; `None` if it does not end within them. Checks nothing else.
pub(super) fn parse(bytes: &[u8]) -> Option<Record<'_>> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
    let len = usize::try_from(len(header)).ok()?;
    let rest = bytes.get(HEADER_BYTES..len)?;
    let (stream, rest) = rest.split_at_checked(usize::from(header[32]))?;
    let (content_type, body) = rest.split_at_checked(usize::from(header[33]))?;
    Some(Record {
        distance: distance(header),
        ordinal: u32_at(header, 8),
        id: array_at(header, 16),
        stream,
        content_type,
        body,
        len,
    })
}

/// Whether the record at the start of `bytes`, which is `len` long, is the one with `sequence`.
pub(super) fn is_intact(bytes: &[u8], len: usize, sequence: u64) -> bool {
    bytes
        .get(CHECKED_FROM..len)
        .is_some_and(|checked| checksum(sequence, checked) == u32_at(bytes, 0))
}

/// Begins with the sequence, so that a record is intact in its own place only: a stale one never
/// passes for another.
fn checksum(sequence: u64, checked: &[u8]) -> u32 {
    crc32c_append(crc32c(&sequence.to_le_bytes()), checked)
}

#[cfg(test)]
mod tests {
    use oncelog::message::{ContentType, MessageId};

    use super::*;

    fn encoded() -> (Vec<u8>, Message) {
        let message = Message {
            id: MessageId::try_from([9; 16]).unwrap(),
            stream: "orders".parse().unwrap(),
            content_type: ContentType::text(),
            body: "body".into(),
        };
        let mut buffer = vec![0; 64];
        assert_eq!(encode(&mut buffer, 3, 42, &message), 64);
        (buffer.split_off(64), message)
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let (bytes, message) = encoded();
        let record = parse(&bytes).unwrap();
        assert_eq!((record.distance, record.ordinal, record.len), (64, 3, bytes.len()));
        assert_eq!(&record.id, message.id.as_bytes());
        assert_eq!(record.stream, b"orders");
        assert_eq!(record.content_type, message.content_type.as_str().as_bytes());
        assert_eq!(record.body, &message.body[..]);
        assert!(is_intact(&bytes, record.len, 42));
    }

    #[test]
    fn no_single_flipped_bit_leaves_a_record_intact() {
        let (bytes, _) = encoded();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let intact = parse(&flipped).is_some_and(|record| is_intact(&flipped, record.len, 42));
            assert!(!intact, "bit {bit} went unnoticed");
        }
    }

    #[test]
    fn a_record_that_is_cut_is_no_record() {
        let (bytes, _) = encoded();
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_none());
        }
    }

    #[test]
    fn a_record_is_not_intact_as_another_one() {
        let (bytes, _) = encoded();
        assert!((0..1000).filter(|n| is_intact(&bytes, bytes.len(), *n)).eq([42]));
    }
}
