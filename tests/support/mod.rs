//! Starts the built programs as real processes and talks to them as a stranger would: over HTTP and
//! gRPC. Nothing in here knows how a service works inside.
//!
//! - [`programs`]: builds the programs once and finds them
//! - [`process`]: one running program: its lines, its signals, its end
//! - [`trio`]: the three services, wired
//! - [`http`]: one request to the facade, and what came back
//! - [`scratch`]: directories that outlive a failure
//! - [`wait`]: waiting for a state, with a deadline
//! - [`not_run`]: a test that cannot run here says so

// Each test binary uses its own part of this module.
#![allow(dead_code, unused_imports)]

use std::{
    env,
    io::{Write, stderr},
};

pub(crate) mod http;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod scratch;
pub(crate) mod trio;
pub(crate) mod wait;

pub(crate) use self::{
    http::{Answer, Client},
    process::Process,
    programs::Program,
    scratch::Scratch,
    trio::Trio,
    wait::eventually,
};

/// Says loudly that `test` does not run for lack of `need`. In CI, where all needs can be met, this
/// is a failure.
pub(crate) fn not_run(test: &str, need: &str) {
    assert!(env::var_os("CI").is_none(), "{test} must run in CI; it needs {need}");
    // Not by `eprintln`: the output of a test that passes is not shown.
    let _ = writeln!(stderr(), "\nNOT RUN: {test} needs {need}");
}
