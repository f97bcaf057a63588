//! What the bytes of the journal cost, without a disk: `cargo bench -p logging-service --bench frame`.
//!
//! Frames and records are private to the journal, and stay so: their files are compiled into this program
//! as well. They are the product's own, so there is no copy that could grow old.

#![allow(clippy::unwrap_used)] // What cannot be set up cannot be measured.

use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use oncelog::{
    limits,
    message::{ContentType, IdSource as _, Message, RandomIds, StreamName},
};

#[allow(dead_code)] // Not all of it is measured.
#[path = "../src/store/journal"]
mod journal {
    mod bytes;
    mod frame;
    mod record;
    mod segment;

    use oncelog::message::Message;

    use self::frame::{HEADER_BYTES, Header, Kind, TRAILER_BYTES};

    const FIRST_SEQUENCE: u64 = 1_000_000;

    /// A frame as it is written.
    pub(super) fn encode(buffer: &mut Vec<u8>, batch: &[Message]) {
        buffer.clear();
        buffer.resize(HEADER_BYTES, 0);
        for ((ordinal, sequence), message) in (0..).zip(FIRST_SEQUENCE..).zip(batch) {
            record::encode(buffer, ordinal, sequence, message).unwrap();
        }
        let header = Header {
            kind: Kind::Data,
            epoch: 0x1122_3344_5566_7788,
            address: 64,
            first_sequence: FIRST_SEQUENCE,
            synced_upto: FIRST_SEQUENCE - 1,
            stored_at: 1_700_000_000_123_456_789,
            count: u32::try_from(batch.len()).unwrap(),
            payload_bytes: u32::try_from(buffer.len() - HEADER_BYTES).unwrap(),
            previous: 0xdead_beef,
        };
        let (bytes, checksum) = header.encode();
        buffer[..HEADER_BYTES].copy_from_slice(&bytes);
        let checksum = frame::checksum(checksum, &buffer[HEADER_BYTES..]);
        buffer.extend_from_slice(&checksum.to_le_bytes());
    }

    /// Checks a frame and each record in it. Returns the bytes of all bodies.
    pub(super) fn decode(frame: &[u8]) -> usize {
        let (header, checksum) = Header::decode(frame.first_chunk().unwrap()).unwrap();
        let (mut payload, trailer) =
            frame[HEADER_BYTES..].split_at(usize::try_from(header.payload_bytes).unwrap());
        assert_eq!(frame::checksum(checksum, payload).to_le_bytes(), trailer[..TRAILER_BYTES]);
        let mut body_bytes = 0;
        for sequence in header.first_sequence..header.next_sequence() {
            let record = record::parse(payload).unwrap();
            assert!(record::is_intact(payload, record.len, sequence));
            body_bytes += record.body.len();
            payload = &payload[record.len..];
        }
        body_bytes
    }
}

/// Bytes of the body of each message.
const BODY_BYTES: usize = 100;

/// Messages of one frame: alone, some connections, a full call.
const BATCHES: [usize; 3] = [1, 64, limits::CALL_MESSAGES_MAX];

fn main() {
    divan::main();
}

fn batch(messages: usize) -> Vec<Message> {
    let message = |_| Message {
        id: RandomIds.next_id(),
        stream: StreamName::facade(),
        content_type: ContentType::text(),
        body: vec![b'x'; BODY_BYTES].into(),
    };
    (0..messages).map(message).collect()
}

/// Messages become a frame, with all its checksums.
#[divan::bench(args = BATCHES)]
fn encode(bencher: Bencher<'_, '_>, messages: usize) {
    let batch = batch(messages);
    let mut buffer = Vec::new();
    journal::encode(&mut buffer, &batch);
    bencher
        .counter(ItemsCount::new(messages))
        .counter(BytesCount::new(buffer.len()))
        .bench_local(|| journal::encode(&mut buffer, black_box(&batch)));
}

/// A frame is checked, and each record in it.
#[divan::bench(args = BATCHES)]
fn decode(bencher: Bencher<'_, '_>, messages: usize) {
    let mut frame = Vec::new();
    journal::encode(&mut frame, &batch(messages));
    assert_eq!(journal::decode(&frame), messages * BODY_BYTES);
    bencher
        .counter(ItemsCount::new(messages))
        .counter(BytesCount::new(frame.len()))
        .bench(|| journal::decode(black_box(&frame)));
}
