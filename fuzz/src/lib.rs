//! Arbitrary bytes for everything that reads bytes from outside, and what must hold for each.
//!
//! A [`Target`] is a function that takes any input and panics if the product breaks a promise. One
//! list of targets and one corpus serve two engines:
//!
//! - `tests/short.rs`, a part of `cargo test`: the whole corpus, and for a second or two random
//!   changes of it, from a seed that is printed
//! - `fuzz/run <target|all> <minutes>`: libFuzzer, which follows the coverage of the branches
//!
//! In reading order: [`memory`], [`mutate`], then one module a target.

#![allow(clippy::unwrap_used, clippy::expect_used)] // It is all test: to panic is to report.

mod facade;
mod journal;
pub mod memory;
pub mod mutate;
mod settings;
mod wire;

/// Something that reads bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, also of its directory under `fuzz/corpus/`.
    pub name: &'static str,
    /// Takes an input.
    ///
    /// # Panics
    /// If a promise is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    // Files of a data directory with any content.
    Target { name: "journal_bytes", run: journal::bytes },
    // A valid journal, changed: bits, lengths, frames and files, also with all checksums renewed.
    Target { name: "journal_edits", run: journal::edits },
    // gRPC messages: decoding, the rules for a message, and the way back.
    Target { name: "wire", run: wire::run },
    // `POST /facade`: headers and body.
    Target { name: "post", run: facade::post },
    // `POST /facade/batch`: lines, in chunks.
    Target { name: "batch", run: facade::batch },
    // `GET /facade` and `GET /facade/<uuid>`: path, query and `Accept`.
    Target { name: "get", run: facade::get },
    // Durations, sizes and URLs of flags.
    Target { name: "settings", run: settings::run },
];

/// The target called `name`.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
