//! What the services of Oncelog share. In reading order:
//!
//! - [`message`]: the message, its id, and what the log answers to it
//! - [`wire`]: the same on the wire, as `proto/` has it
//! - [`delivery`]: the only place that retries; brings a message to the logging service
//! - [`limits`]: every bound of the system, with its unit and its reason
//! - [`server`]: listening, health, reflection, draining
//! - [`settings`], [`exit`], [`telemetry`], [`clock`]: the rest of a process
//!
//! The services themselves are the packages beside this one. They are library functions that take
//! their listener, clock and stop signal, so that the same code runs in production, in a test on
//! port 0 and inside a simulator.

pub mod clock;
pub mod delivery;
pub mod exit;
pub mod limits;
pub mod message;
pub mod server;
pub mod settings;
pub mod telemetry;
pub mod wire;
