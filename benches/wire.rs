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

/// Bytes of the body of each message.
const BODY_BYTES: usize = 100;

/// Messages of one call: alone, some connections, a full one.
const CALLS: [usize; 3] = [1, 64, limits::CALL_MESSAGES_MAX];

fn main() {
    divan::main();
}

/// Names of streams in use at a time, when there are many.
const STREAMS: usize = 10_000;

fn facade(_: usize) -> StreamName {
    StreamName::facade()
}

fn named(number: usize) -> StreamName {
    format!("orders.customer-{}", number % STREAMS).parse().unwrap()
}

fn call(messages: usize) -> Vec<Message> {
    call_to(messages, facade)
}

fn call_to(messages: usize, stream: impl Fn(usize) -> StreamName) -> Vec<Message> {
    let message = |number| Message {
        id: RandomIds.next_id(),
        stream: stream(number),
        content_type: ContentType::text(),
        body: vec![b'x'; BODY_BYTES].into(),
    };
    (0..messages).map(message).collect()
}

fn request(call: &[Message]) -> AppendRequest {
    AppendRequest { messages: call.iter().cloned().map(Into::into).collect() }
}

fn response(call: &[Message]) -> AppendResponse {
    let stored_at = SystemTime::now();
    let receipt = |(message, sequence): (&Message, u64)| {
        let id = Bytes::copy_from_slice(message.id.as_bytes());
        Outcome::Stored(Receipt { sequence, stored_at }).into_receipt(id)
    };
    AppendResponse { receipts: call.iter().zip(1_000_000..).map(receipt).collect() }
}

/// The facade asks.
#[divan::bench(args = CALLS)]
fn encode_append(bencher: Bencher<'_, '_>, messages: usize) {
    encode(bencher, &call(messages), request);
}

/// The logging service takes it in and checks each message.
#[divan::bench(args = CALLS)]
fn decode_append(bencher: Bencher<'_, '_>, messages: usize) {
    decode(bencher, &call(messages), request, check);
}

/// The same for a stream whose name was seen before.
#[divan::bench(args = CALLS)]
fn decode_append_to_a_known_stream(bencher: Bencher<'_, '_>, messages: usize) {
    decode(bencher, &call_to(messages, |_| named(7)), request, check);
}

/// The same where each message is for another stream of many, all known.
#[divan::bench]
fn decode_append_to_many_known_streams(bencher: Bencher<'_, '_>) {
    decode(bencher, &call_to(STREAMS, named), request, check);
}

fn check(request: AppendRequest) -> Vec<Message> {
    let check = |message: v1::Message| Message::try_from(message).unwrap();
    request.messages.into_iter().map(check).collect()
}

fn encode<T: prost::Message>(
    bencher: Bencher<'_, '_>,
    call: &[Message],
    wire: fn(&[Message]) -> T,
) {
    let bytes = wire(call).encoded_len();
    let bencher = bencher.counter(ItemsCount::new(call.len())).counter(BytesCount::new(bytes));
    bencher.bench(|| wire(black_box(call)).encode_to_vec());
}

fn decode<T: prost::Message + Default, U>(
    bencher: Bencher<'_, '_>,
    call: &[Message],
    wire: fn(&[Message]) -> T,
    check: fn(T) -> U,
) {
    let bytes = Bytes::from(wire(call).encode_to_vec());
    let bencher =
        bencher.counter(ItemsCount::new(call.len())).counter(BytesCount::new(bytes.len()));
    bencher.bench(|| check(T::decode(black_box(bytes.clone())).unwrap()));
}

/// The logging service answers.
#[divan::bench(args = CALLS)]
fn encode_receipts(bencher: Bencher<'_, '_>, messages: usize) {
    encode(bencher, &call(messages), response);
}

/// The facade takes the answer in.
#[divan::bench(args = CALLS)]
fn decode_receipts(bencher: Bencher<'_, '_>, messages: usize) {
    decode(bencher, &call(messages), response, |response: AppendResponse| {
        let outcome = |receipt: v1::Receipt| Outcome::try_from(receipt).unwrap();
        response.receipts.into_iter().map(outcome).collect::<Vec<_>>()
    });
}
