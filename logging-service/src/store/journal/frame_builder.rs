//! Putting a frame together in memory.

use oncelog::message::Message;

use super::{
    bytes::{fit, memory_len},
    format::HEADER_BYTES,
    frame::{EMPTY_FRAME_BYTES, Header, Kind, checksum},
    record,
};

/// A frame before it is written. Its memory is reused for the next one.
///
/// A payload has at most `u32::MAX` bytes, and the limits in front of the store keep all frames far
/// below: the log puts 4 MiB of bodies into a frame and one more call, a call has at most
/// [`GRPC_MESSAGE_BYTES_MAX`](oncelog::limits::GRPC_MESSAGE_BYTES_MAX), and a record adds less than
/// 256 bytes to its body. So a frame that does not fit is a mistake of this program, not a full
/// disk, and the builder panics.
pub(super) struct FrameBuilder {
    pub(super) kind: Kind,
    /// Nanoseconds since 1970.
    pub(super) stored_at: i64,
    /// Sequences of the frame.
    pub(super) count: u32,
    pub(super) payload_bytes: u32,
    /// From the start of the frame to each record.
    pub(super) distances: Vec<u32>,
    /// Space for the header, the payload and, once the frame is finished, its checksum.
    buffer: Vec<u8>,
}

impl FrameBuilder {
    pub(super) fn new() -> Self {
        let (distances, buffer) = (Vec::new(), vec![0; HEADER_BYTES]);
        Self { kind: Kind::Mark, stored_at: 0, count: 0, payload_bytes: 0, distances, buffer }
    }

    /// Begins a frame of records that become durable together. The first one has `first_sequence`.
    ///
    /// # Panics
    /// The frame would be longer than a frame can be.
    pub(super) fn records(&mut self, first_sequence: u64, stored_at: i64, messages: &[Message]) {
        self.empty(Kind::Data, fit(messages.len()));
        self.stored_at = stored_at;
        for ((ordinal, sequence), message) in (0..).zip(first_sequence..).zip(messages) {
            let distance = record::encode(&mut self.buffer, ordinal, sequence, message);
            self.distances.push(distance);
        }
        self.payload_bytes = fit(self.buffer.len() - HEADER_BYTES);
    }

    /// Begins a frame without records that takes up `count` sequences.
    pub(super) fn empty(&mut self, kind: Kind, count: u32) {
        (self.kind, self.stored_at, self.count, self.payload_bytes) = (kind, 0, count, 0);
        self.distances.clear();
        self.buffer.clear();
        self.buffer.resize(HEADER_BYTES, 0);
    }

    /// Bytes of the whole frame.
    pub(super) fn frame_bytes(&self) -> u64 {
        EMPTY_FRAME_BYTES + u64::from(self.payload_bytes)
    }

    /// Writes `header` in front of the payload, and the checksum of both behind it. Returns the
    /// bytes of the whole frame and the checksum.
    ///
    /// # Panics
    /// The header is not one of this frame, or the frame was finished before.
    pub(super) fn finish(&mut self, header: &Header) -> (&[u8], u32) {
        let (bytes, header_checksum) = header.encode();
        let (space, payload) = self.buffer.split_at_mut(HEADER_BYTES);
        assert_eq!(
            payload.len(),
            memory_len(header.payload_bytes.into()),
            "the payload of a frame"
        );
        space.copy_from_slice(&bytes);
        let checksum = checksum(header_checksum, payload);
        self.buffer.extend_from_slice(&checksum.to_le_bytes());
        (&self.buffer, checksum)
    }
}
