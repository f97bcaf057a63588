//! The lines of an upload's answer.

use oncelog::{
    delivery::Delivered,
    message::{MESSAGE_ID_CHARS, MessageId},
};

use crate::error::{Failure, PostError};

/// Room for the outcome of a line that is stored, unless its sequence is astronomical.
pub(super) const BYTES_USUAL: usize = 112;

/// Appends the outcome of a line whose message is stored.
pub(super) fn success(piece: &mut Vec<u8>, id: MessageId, delivered: &Delivered) {
    piece.extend_from_slice(br#"{"status":"success","uuid":""#);
    piece.extend_from_slice(id.encode(&mut [0; MESSAGE_ID_CHARS]).as_bytes());
    piece.extend_from_slice(br#"","sequence":"#);
    piece.extend_from_slice(itoa::Buffer::new().format(delivered.place.sequence).as_bytes());
    piece.extend_from_slice(if delivered.replayed { b",\"replayed\":true}\n" } else { b"}\n" });
}

/// Appends the outcome of a line that was not acknowledged.
pub(super) fn failure(piece: &mut Vec<u8>, line: u64, error: PostError) {
    piece.extend(Failure::from(error).to_json(Some(line)));
    piece.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use oncelog::message::Place;

    use super::*;

    #[test]
    fn an_outcome_is_one_line_of_json() {
        let id: MessageId = "0199c0de-0000-7000-8000-00000000abcd".parse().unwrap();
        let place = Place { sequence: u64::MAX, stored_at: SystemTime::UNIX_EPOCH };
        let mut piece = Vec::new();
        success(&mut piece, id, &Delivered { place, replayed: false });
        assert!(piece.len() <= BYTES_USUAL, "{} bytes", piece.len());
        success(&mut piece, id, &Delivered { place, replayed: true });
        failure(&mut piece, 7, PostError::Stopping);
        let lines: Vec<serde_json::Value> = piece
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        for line in &lines[..2] {
            assert_eq!(line["status"], "success");
            assert_eq!(line["uuid"], id.to_string());
            assert_eq!(line["sequence"], u64::MAX);
        }
        assert!(lines[0].get("replayed").is_none());
        assert_eq!(lines[1]["replayed"], true);
        assert_eq!((&lines[2]["status"], &lines[2]["line"]), (&"failure".into(), &7.into()));
    }
}
