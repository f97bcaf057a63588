//! What a call between the services costs in bytes and conversions, without a network:
//! `cargo bench -p oncelog --bench wire`.

#![allow(clippy::unwrap_used)] // What cannot be set up cannot be measured.

use std::time::SystemTime;

use bytes::Bytes;
use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use oncelog::{
    limits,
    message::{ContentType, IdSource as _, Message, Outcome, RandomIds, Receipt, StreamName},
    wire::v1::{self, AppendRequest, AppendResponse},
};
use prost::Message as _;

/// Bytes of the body of each message.
const BODY_BYTES: usize = 100;

/// Messages of one call: alone, some connections, a full one.
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

fn request(batch: &[Message]) -> AppendRequest {
    AppendRequest { messages: batch.iter().cloned().map(Into::into).collect() }
}

fn response(batch: &[Message]) -> AppendResponse {
    let stored_at = SystemTime::now();
    let receipt = |(message, sequence): (&Message, u64)| {
        let id = Bytes::copy_from_slice(message.id.as_bytes());
        Outcome::Stored(Receipt { sequence, stored_at }).into_receipt(id)
    };
    AppendResponse { receipts: batch.iter().zip(1_000_000..).map(receipt).collect() }
}

/// The facade asks.
#[divan::bench(args = BATCHES)]
fn encode_append(bencher: Bencher<'_, '_>, messages: usize) {
    let batch = batch(messages);
    let bytes = request(&batch).encoded_len();
    bencher
        .counter(ItemsCount::new(messages))
        .counter(BytesCount::new(bytes))
        .bench(|| request(black_box(&batch)).encode_to_vec());
}

/// The logging service takes it in and checks each message.
#[divan::bench(args = BATCHES)]
fn decode_append(bencher: Bencher<'_, '_>, messages: usize) {
    let bytes = Bytes::from(request(&batch(messages)).encode_to_vec());
    let check = |message: v1::Message| Message::try_from(message).unwrap();
    bencher.counter(ItemsCount::new(messages)).counter(BytesCount::new(bytes.len())).bench(|| {
        let request = AppendRequest::decode(black_box(bytes.clone())).unwrap();
        request.messages.into_iter().map(check).collect::<Vec<_>>()
    });
}

/// The logging service answers.
#[divan::bench(args = BATCHES)]
fn encode_receipts(bencher: Bencher<'_, '_>, messages: usize) {
    let batch = batch(messages);
    let bytes = response(&batch).encoded_len();
    bencher
        .counter(ItemsCount::new(messages))
        .counter(BytesCount::new(bytes))
        .bench(|| response(black_box(&batch)).encode_to_vec());
}

/// The facade takes the answer in.
#[divan::bench(args = BATCHES)]
fn decode_receipts(bencher: Bencher<'_, '_>, messages: usize) {
    let bytes = Bytes::from(response(&batch(messages)).encode_to_vec());
    let outcome = |receipt: v1::Receipt| Outcome::try_from(receipt).unwrap();
    bencher.counter(ItemsCount::new(messages)).counter(BytesCount::new(bytes.len())).bench(|| {
        let response = AppendResponse::decode(black_box(bytes.clone())).unwrap();
        response.receipts.into_iter().map(outcome).collect::<Vec<_>>()
    });
}
