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
    mod format;
    mod frame;
    mod frame_builder;
    mod record;
    mod segment;

    use oncelog::message::Message;

    use self::{
        format::HEADER_BYTES,
        frame::{Header, TRAILER_BYTES},
        frame_builder::FrameBuilder,
    };

    const FIRST_SEQUENCE: u64 = 1_000_000;

    /// Builds frames, in memory that is reused.
    pub(super) struct Frames(FrameBuilder);

    pub(super) fn frames() -> Frames {
        Frames(FrameBuilder::new())
    }

    /// A frame as it is written.
    pub(super) fn encode<'a>(Frames(frame): &'a mut Frames, batch: &[Message]) -> &'a [u8] {
        frame.records(FIRST_SEQUENCE, 1_700_000_000_123_456_789, batch);
        let header = Header {
            kind: frame.kind,
            salt: 0x1122_3344_5566_7788,
            address: 64,
            first_sequence: FIRST_SEQUENCE,
            synced_upto: FIRST_SEQUENCE - 1,
            stored_at: frame.stored_at,
            count: frame.count,
            payload_bytes: frame.payload_bytes,
            previous: 0xdead_beef,
        };
        frame.finish(&header).0
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
    let mut frames = journal::frames();
    let frame_bytes = journal::encode(&mut frames, &batch).len();
    bencher
        .counter(ItemsCount::new(messages))
        .counter(BytesCount::new(frame_bytes))
        .bench_local(|| journal::encode(&mut frames, black_box(&batch)).len());
}

/// A frame is checked, and each record in it.
#[divan::bench(args = BATCHES)]
fn decode(bencher: Bencher<'_, '_>, messages: usize) {
    let mut frames = journal::frames();
    let frame = journal::encode(&mut frames, &batch(messages));
    assert_eq!(journal::decode(frame), messages * BODY_BYTES);
    bencher
        .counter(ItemsCount::new(messages))
        .counter(BytesCount::new(frame.len()))
        .bench(|| journal::decode(black_box(frame)));
}
