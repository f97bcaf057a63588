//! What tests share.

use std::io::{Write as _, stderr};

use faultlab::experiments::NotRun;

/// The results of an experiment. `None`, with a line that names it, if this machine lacks something.
#[track_caller]
pub(crate) fn unless_not_run<T>(results: Result<T, NotRun>) -> Option<T> {
    match results {
        Ok(results) => return Some(results),
        // Not by `eprintln`: the output of a test that passes is not shown.
        Err(error @ NotRun::Missing(_)) => drop(writeln!(stderr(), "\n{error}")),
        Err(error) => panic!("{error}"),
    }
    None
}
