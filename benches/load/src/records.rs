//! The sequences in the answer to a gRPC `Read`, found without decoding anything else.
//!
//! A gRPC message is a flag, a length of four bytes, and a `ReadResponse`: records as field 1, each with
//! its sequence as field 1. Pieces may end anywhere.

use bytes::Buf as _;

/// Field 1 with a length, as the tag of a record.
const RECORD: u8 = 0x0a;
/// Field 1 with a varint, as the tag of a sequence.
const SEQUENCE: u8 = 0x08;

/// Where in the answer a piece has ended.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Before the flag of a gRPC message.
    Flag,
    /// In its length, of which so many bytes are still to come.
    Size {
        left: u8,
        size: u64,
    },
    RecordTag,
    RecordSize {
        size: u64,
        shift: u32,
    },
    SequenceTag,
    Sequence {
        sequence: u64,
        shift: u32,
    },
    /// In what comes after the sequence.
    Rest,
}

/// Checks that records come in order, without gaps.
#[derive(Debug)]
pub(crate) struct Records {
    at: At,
    /// Bytes of the gRPC message, and of the record in it, that are still to come.
    message_left: u64,
    record_left: u64,
    /// The sequence of the last record.
    pub(crate) last: u64,
}

impl Records {
    /// What comes first must be the record after `last`.
    pub(crate) fn after(last: u64) -> Self {
        Self { at: At::Flag, message_left: 0, record_left: 0, last }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// What came is not the next record; what follows is not looked at.
    pub(crate) fn take(&mut self, mut piece: &[u8]) -> Result<(), String> {
        while !piece.is_empty() {
            if let At::Rest = self.at {
                let length =
                    piece.len().min(usize::try_from(self.record_left).unwrap_or(usize::MAX));
                piece.advance(length);
                self.record_left -= length as u64;
                self.message_left -= length as u64;
            } else {
                self.step(piece.get_u8())?;
            }
            if let (At::Rest, 0) = (self.at, self.record_left) {
                self.at = if self.message_left == 0 { At::Flag } else { At::RecordTag };
            }
        }
        Ok(())
    }

    /// Takes one byte before the rest of a record.
    fn step(&mut self, byte: u8) -> Result<(), String> {
        let bits = u64::from(byte & 0x7f);
        let more = byte & 0x80 != 0;
        match &mut self.at {
            At::Flag => {
                self.expect(byte, 0, "the flag of an uncompressed message")?;
                self.at = At::Size { left: 4, size: 0 };
                return Ok(());
            }
            At::Size { left, size } => {
                *size = *size << 8 | u64::from(byte);
                *left -= 1;
                if *left == 0 {
                    self.message_left = *size;
                    self.at = if *size == 0 { At::Flag } else { At::RecordTag };
                }
                return Ok(());
            }
            At::RecordTag => {
                self.expect(byte, RECORD, "a record")?;
                self.at = At::RecordSize { size: 0, shift: 0 };
            }
            At::RecordSize { size, shift } => {
                *size |= bits << *shift;
                *shift += 7;
                if !more {
                    self.record_left = *size;
                    self.at = At::SequenceTag;
                }
            }
            At::SequenceTag => {
                self.expect(byte, SEQUENCE, "a sequence")?;
                self.at = At::Sequence { sequence: 0, shift: 0 };
                self.record_left -= 1;
            }
            At::Sequence { sequence, shift } => {
                *sequence |= bits << *shift;
                *shift += 7;
                self.record_left -= 1;
                if !more {
                    let found = *sequence;
                    if found != self.last + 1 {
                        return Err(format!("{found} came after {}", self.last));
                    }
                    self.last = found;
                    self.at = At::Rest;
                }
            }
            At::Rest => {}
        }
        self.message_left -= 1;
        Ok(())
    }

    fn expect(&self, byte: u8, expected: u8, what: &str) -> Result<(), String> {
        if byte == expected {
            return Ok(());
        }
        Err(format!(
            "after {} came {byte:#04x} where {what} begins with {expected:#04x}",
            self.last
        ))
    }
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
    }
}
