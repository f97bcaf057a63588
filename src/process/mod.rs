//! A process: its start, settings, exit codes, runtime, signals and telemetry.

pub mod exit;
mod peer_reports;
mod runtime;
pub mod settings;
mod signal;
mod start;
pub mod telemetry;

pub use self::{
    runtime::{main, run, run_command},
    signal::{StopSignals, stop_on_signal},
    start::{Started, announce, start},
};
