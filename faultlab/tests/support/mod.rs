//! What tests share.

use std::io::{Write as _, stderr};

use faultlab::experiments::NotRun;

/// Reports that a test does not run, and what it needs.
pub(crate) fn not_run(error: &NotRun) {
    // Not by `eprintln`: the output of a test that passes is not shown.
    let _ = writeln!(stderr(), "\n{error}");
}
