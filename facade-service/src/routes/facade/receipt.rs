//! What a client gets for a message that is stored.

use oncelog::message::{MESSAGE_ID_CHARS, MessageId};

/// Room for a receipt with a line break, unless its sequence is astronomical.
pub(crate) const RECEIPT_BYTES_USUAL: usize = 112;

/// Whether a receipt says that an earlier request stored the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplayMark {
    /// It does not: the message is new, or a header says so.
    Absent,
    /// It has `"replayed":true`.
    Present,
}

/// Appends the receipt to `json`.
pub(crate) fn write_receipt(json: &mut Vec<u8>, id: MessageId, sequence: u64, mark: ReplayMark) {
    json.extend_from_slice(br#"{"status":"success","uuid":""#);
    json.extend_from_slice(id.encode(&mut [0; MESSAGE_ID_CHARS]).as_bytes());
    json.extend_from_slice(br#"","sequence":"#);
    json.extend_from_slice(itoa::Buffer::new().format(sequence).as_bytes());
    json.extend_from_slice(match mark {
        ReplayMark::Absent => b"}",
        ReplayMark::Present => br#","replayed":true}"#,
    });
}
