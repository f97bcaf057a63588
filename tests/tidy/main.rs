//! Keeps the house in order: what no compiler and no linter checks.
//!
//! - `tree`: the files of the workspace; `code`: what can be told from a source file
//! - `size`, `boundaries`, `words`: the rules for source
//! - `papers`: the rules for documents and for `deny.toml`; `figures`: pictures and tables

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod boundaries;
mod code;
mod figures;
mod papers;
mod size;
mod tree;
mod words;
