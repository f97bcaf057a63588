//! Load of the benchmarks that is no single post, with as little work as possible for each record:
//! many readers that follow the log over gRPC, uploads of many lines, one read of the whole log.
//!
//! Everything runs in one thread, so that the services get the rest of the machine.

mod follow;
mod read;
mod records;
mod upload;

use std::process::ExitCode;

use tokio::io::AsyncRead;

use crate::{experiments::say, http1::Chunked};

/// What to load the services with. What came of it is printed as JSON.
#[derive(Debug, clap::Subcommand)]
pub enum Bulk {
    /// Follow the log from many connections
    Follow(follow::Args),
    /// Upload many messages at a time
    Upload(upload::Args),
    /// Read the whole log once
    Read(read::Args),
}

/// Why there is nothing to print.
type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Bulk {
    /// Runs it. The exit code says whether the services answered as they should (0) or not (1).
    pub async fn run(self) -> ExitCode {
        let done = match self {
            Self::Follow(args) => follow::run(args).await,
            Self::Upload(args) => upload::run(args).await,
            Self::Read(args) => read::run(args).await,
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                say(&failure.to_string());
                ExitCode::FAILURE
            }
        }
    }
}

/// The place of the letter that tells the outcome of a line of an upload: `{"status":"success"…`, or
/// `"failure"`.
const OUTCOME_AT: usize = 11;

/// The lines of an answer.
#[derive(Debug, Default)]
struct Lines {
    count: u64,
    body_bytes: u64,
    /// Lines with something other than an `s` where an outcome has its `success`.
    others: u64,
    /// Bytes of the line that is not whole yet.
    line_bytes: usize,
}

impl Lines {
    /// Reads a whole answer from `stream`, and tells `arrived` of lines as they come.
    async fn receive(
        stream: &mut (impl AsyncRead + Unpin),
        mut arrived: impl FnMut(u64),
    ) -> Result<Self, Failure> {
        let (mut answer, mut lines) = (Chunked::default(), Self::default());
        while !answer.is_whole() {
            let before = lines.count;
            answer.read(stream, |piece| lines.take(piece)).await?;
            arrived(lines.count - before);
        }
        Ok(lines)
    }

    fn take(&mut self, piece: &[u8]) {
        self.body_bytes += piece.len() as u64;
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let outcome = OUTCOME_AT.checked_sub(self.line_bytes).and_then(|at| part.get(at));
            self.others += u64::from(outcome.is_some_and(|letter| *letter != b's'));
            self.line_bytes += part.len();
            if part.ends_with(b"\n") {
                self.count += 1;
                self.line_bytes = 0;
            }
        }
    }
}

#[test]
fn lines_and_failures_are_counted_wherever_pieces_end() {
    let body = b"{\"status\":\"success\"}\nx\n{\"status\":\"failure\"}\n";
    for length in 1..=body.len() {
        let mut lines = Lines::default();
        body.chunks(length).for_each(|piece| lines.take(piece));
        assert_eq!((lines.count, lines.others), (3, 1));
        assert_eq!(lines.body_bytes, body.len() as u64);
    }
}
