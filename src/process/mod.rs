//! A process: its settings, exit codes, runtime, signals and telemetry.

pub mod exit;
mod runtime;
pub mod settings;
mod signal;
pub mod telemetry;

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use crate::net::tell_open_files;

pub use self::{runtime::run, signal::stop_on_signal};

/// Prints the line that tells people and programs that `addr` now accepts work, and tells the log how
/// much of it. A standard output that nobody reads does not stop a service.
pub fn announce(addr: SocketAddr) {
    tell_open_files();
    let _ = writeln!(io::stdout(), "listening addr={addr}");
}
