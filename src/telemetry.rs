//! Log lines: one event a line on standard error, `RUST_LOG` to choose, `info` by default.
//!
//! Standard output is left to what a service is asked to show: its address and, in the logging
//! service, the messages.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging. A second call changes nothing.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // It would be told to standard error, and panic if nobody reads that.
        .log_internal_errors(false)
        .try_init();
}
