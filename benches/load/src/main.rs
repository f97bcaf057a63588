//! The load of the benchmarks that `wrk` cannot give, with as little work as possible for each record.
//!
//! - `follow`: many readers that follow the log over gRPC
//! - `records`: the sequences in what such a reader gets
//! - `upload`: uploads of many lines
//! - `get`: one read of the whole log
//! - `answer`: counts the lines of an answer of HTTP/1.1
//!
//! Everything runs in one thread, and the services get the rest of the machine.

mod answer;
mod follow;
mod get;
mod records;
mod upload;

use std::process::ExitCode;

use clap::Parser;

/// Load the services, and print what came of it as JSON.
#[derive(Debug, Parser)]
enum Load {
    /// Follow the log from many connections
    Follow(follow::Args),
    /// Upload many messages at a time
    Upload(upload::Args),
    /// Read the whole log once
    Get(get::Args),
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Load::parse() {
        Load::Follow(args) => follow::run(args).await,
        Load::Upload(args) => upload::run(args).await,
        Load::Get(args) => get::run(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => complain(&failure),
    }
}

#[allow(clippy::print_stderr)] // For the person who runs it.
fn complain(failure: &Failure) -> ExitCode {
    eprintln!("{failure}");
    ExitCode::FAILURE
}
