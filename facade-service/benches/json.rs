//! What the JSON of a message costs the facade, in and out: `cargo bench -p facade-service --bench json`.
//!
//! Most of a facade is private, and stays so: the files that are measured are compiled into this program
//! as well. They are the product's own, so there is no copy that could grow old.

#![allow(clippy::unwrap_used)] // What cannot be set up cannot be measured.

use bytes::{Bytes, BytesMut};
use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use oncelog::message::{IdSource as _, MessageId, RandomIds};

#[allow(dead_code)] // Not all of it is measured.
#[path = "../src/http"]
mod request {
    pub(crate) mod content;
    pub(crate) mod key;
}
#[allow(dead_code)]
#[path = "../src/routes/facade/receipt.rs"]
mod receipt;

use receipt::{RECEIPT_BYTES_USUAL, ReplayMark, write_receipt};
use request::content::{parse_line, parse_post};

/// Lines of an upload that arrive together.
const LINES: usize = 256;

/// Characters of a text.
const CHARS: [usize; 3] = [34, 100, 10_000];

fn main() {
    divan::main();
}

fn plain(chars: usize) -> String {
    "x".repeat(chars)
}

/// A text that cannot be taken as it stands in its line.
fn escaped(chars: usize) -> String {
    r#"say \"x\" "#.repeat(chars / 8 + 1)
}

/// The body of a post becomes text.
#[divan::bench(args = CHARS)]
fn parse_body(bencher: Bencher<'_, '_>, chars: usize) {
    let body = Bytes::from(format!(r#"{{"msg":"{}"}}"#, plain(chars)));
    bencher.counter(BytesCount::new(body.len())).bench(|| parse_post(black_box(&body)).unwrap());
}

fn parse(bencher: Bencher<'_, '_>, line: impl Fn(usize) -> String) {
    let lines: Vec<_> = (0..LINES).map(|nth| Bytes::from(line(nth))).collect();
    let bytes = lines.iter().map(Bytes::len).sum();
    let parse = || {
        let mut bodies = BytesMut::with_capacity(bytes);
        let parse = |line| parse_line(line, &mut bodies).unwrap().0;
        lines.iter().map(parse).collect::<Vec<_>>()
    };
    bencher.counter(ItemsCount::new(LINES)).counter(BytesCount::new(bytes)).bench(parse);
}

/// Lines become texts.
#[divan::bench]
fn parse_lines(bencher: Bencher<'_, '_>) {
    parse(bencher, |_| format!(r#"{{"msg":"{}"}}"#, plain(100)));
}

/// The same, with a key in each.
#[divan::bench]
fn parse_lines_with_keys(bencher: Bencher<'_, '_>) {
    parse(bencher, |nth| format!(r#"{{"msg":"{}","key":"order-{nth}"}}"#, plain(100)));
}

/// The same, with quotes in the text.
#[divan::bench]
fn parse_lines_with_escapes(bencher: Bencher<'_, '_>) {
    parse(bencher, |_| format!(r#"{{"msg":"{}"}}"#, escaped(100)));
}

/// Receipts become the lines of an answer.
#[divan::bench]
fn write_receipts(bencher: Bencher<'_, '_>) {
    let ids: Vec<MessageId> = (0..LINES).map(|_| RandomIds.next_id()).collect();
    bencher.counter(ItemsCount::new(LINES)).bench(|| {
        let mut json = Vec::with_capacity(LINES * RECEIPT_BYTES_USUAL);
        for (id, sequence) in ids.iter().zip(1_000_000..) {
            write_receipt(&mut json, *id, sequence, ReplayMark::Absent);
            json.push(b'\n');
        }
        json
    });
}

/// New ids.
#[divan::bench]
fn make_ids(bencher: Bencher<'_, '_>) {
    let make = || (0..LINES).map(|_| RandomIds.next_id()).collect::<Vec<_>>();
    bencher.counter(ItemsCount::new(LINES)).bench(make);
}
