//! The sequences in the answer to a gRPC `Read`, found without decoding anything else.
//!
//! A gRPC message is a flag, a length of four bytes, and a `ReadResponse`: records as field 1, each with
//! its sequence as field 1. Pieces may end anywhere.

use bytes::{Buf as _, BytesMut};

/// Field 1 with a length, as the tag of a record.
const RECORD: u8 = 0x0a;
/// Field 1 with a varint, as the tag of a sequence.
const SEQUENCE: u8 = 0x08;
/// The flag and the length of a gRPC message.
const PREFIX_BYTES: usize = 5;

/// Checks that records come in order, without gaps.
#[derive(Debug)]
pub(super) struct Records {
    /// What has come of the gRPC message that is not whole yet.
    buffer: BytesMut,
    /// The sequence of the last record.
    pub(super) last: u64,
}

impl Records {
    /// What comes first must be the record after `last`.
    pub(super) fn after(last: u64) -> Self {
        Self { buffer: BytesMut::new(), last }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// What came is not the next record; what follows is not looked at.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), String> {
        self.buffer.extend_from_slice(piece);
        while let Some((&[flag, a, b, c, d], rest)) = self.buffer.split_first_chunk() {
            let size = u32::from_be_bytes([a, b, c, d]) as usize;
            if flag != 0 {
                return Err(format!("after {} came no uncompressed message", self.last));
            }
            let Some(message) = rest.get(..size) else { break };
            self.last = last_of(message, self.last)?;
            self.buffer.advance(PREFIX_BYTES + size);
        }
        Ok(())
    }
}

/// The last sequence of a message whose first one must follow `last`.
fn last_of(mut message: &[u8], mut last: u64) -> Result<u64, String> {
    while !message.is_empty() {
        let record = field(&mut message, RECORD)
            .and_then(|size| message.split_off(..usize::try_from(size).ok()?));
        match record.and_then(|mut record| field(&mut record, SEQUENCE)) {
            Some(found) if found == last + 1 => last = found,
            Some(found) => return Err(format!("{found} came after {last}")),
            None => return Err(format!("after {last} came no record")),
        }
    }
    Ok(last)
}

/// Takes a field that begins with `tag`: its number, or the length of what follows.
fn field(bytes: &mut &[u8], tag: u8) -> Option<u64> {
    (*bytes.split_off_first()? == tag).then_some(())?;
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gRPC message with a record of `rest` more bytes for each sequence.
    fn message(sequences: &[u8], rest: usize) -> Vec<u8> {
        let mut body = Vec::new();
        for sequence in sequences {
            body.extend([RECORD, 2 + rest as u8, SEQUENCE, *sequence]);
            body.extend(vec![0xff; rest]);
        }
        let mut message = vec![0];
        message.extend((body.len() as u32).to_be_bytes());
        message.extend(body);
        message
    }

    #[test]
    fn sequences_are_found_wherever_pieces_end() {
        let mut bytes = message(&[1, 2], 100);
        bytes.extend(message(&[3], 0));
        for length in 1..bytes.len() {
            let mut records = Records::after(0);
            for piece in bytes.chunks(length) {
                records.take(piece).unwrap();
            }
            assert_eq!(records.last, 3);
        }
    }

    #[test]
    fn a_gap_a_repeat_and_what_is_no_record_are_found() {
        for sequences in [[1, 3], [1, 1], [2, 3]] {
            assert!(Records::after(0).take(&message(&sequences, 9)).is_err());
        }
        assert!(Records::after(0).take(b"HTTP/1.1 400").is_err());
        let mut other = message(&[1], 3);
        other[5] = 0x12;
        assert!(Records::after(0).take(&other).is_err());
    }
}
