//! Checks the layout of the workspace: what no compiler and no linter checks.
//!
//! - `tree`: the files of the workspace
//! - `size`, `boundaries`, `style`: the rules for source
//! - `documents`: the rules for documents and for `deny.toml`; `figures`: pictures and tables

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod boundaries;
mod documents;
mod figures;
mod size;
mod style;
mod tree;
