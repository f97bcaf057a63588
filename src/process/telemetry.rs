//! Log lines: one event a line on standard error, `RUST_LOG` to choose, `info` by default.
//!
//! Standard output is left to what a service is asked to show: its address and, in the logging
//! service, the messages.

use std::io::{self, IsTerminal as _};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt};

use crate::limits::LOG_LINES_WAITING_MAX;

/// Starts logging; keep the guard until the end, when it waits a moment for the last lines. A second
/// call changes nothing.
///
/// Whoever logs never waits for a terminal or pipe: lines that nobody reads are lost, and disturb
/// nothing else.
#[must_use = "the last lines are written when the guard is dropped"]
pub fn init() -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_LINES_WAITING_MAX)
        .lossy(true)
        .finish(io::stderr());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer)
        // It would tell the same closed pipe, with a panic of whoever logged.
        .log_internal_errors(false)
        .try_init();
    guard
}
