//! The lines of an upload's answer.

use oncelog::message::MessageId;

use crate::{
    delivery::Delivered,
    http::problem::{PostError, Problem},
    routes::facade::receipt::{ReplayMark, write_receipt},
};

/// Appends the outcome of a line whose message is stored.
pub(super) fn success(piece: &mut Vec<u8>, id: MessageId, delivered: &Delivered) {
    let mark = if delivered.replayed { ReplayMark::Present } else { ReplayMark::Absent };
    write_receipt(piece, id, delivered.receipt.sequence, mark);
    piece.push(b'\n');
}

/// Appends the outcome of a line that was not acknowledged.
pub(super) fn failure(piece: &mut Vec<u8>, line: u64, error: PostError) {
    piece.extend(Problem::from(error).to_line(line));
    piece.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use oncelog::message::Receipt;

    use super::*;
    use crate::routes::facade::receipt::RECEIPT_BYTES_USUAL;

    #[test]
    fn an_outcome_is_one_line_of_json() {
        let id: MessageId = "0199c0de-0000-7000-8000-00000000abcd".parse().unwrap();
        let receipt = Receipt { sequence: u64::MAX, stored_at: SystemTime::UNIX_EPOCH };
        let mut piece = Vec::new();
        success(&mut piece, id, &Delivered { receipt, replayed: false });
        assert!(piece.len() <= RECEIPT_BYTES_USUAL, "{} bytes", piece.len());
        success(&mut piece, id, &Delivered { receipt, replayed: true });
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
        assert_eq!(lines[2]["code"], "stopping");
    }
}
