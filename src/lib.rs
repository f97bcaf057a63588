//! What the services of Oncelog share. In reading order:
//!
//! - [`message`]: the message, its id, and what the log answers to it
//! - [`wire`]: the same on the wire, as `proto/` has it
//! - [`limits`]: the bounds of the contract, with their units and reasons
//! - [`net`]: accepted connections: the accept loop, the connection limiter, timers, the flood guard
//! - [`grpc`]: a gRPC server with limits, health and reflection; endpoints of clients
//! - [`process`]: the main of a service, settings, exit codes, runtime, signals, telemetry
//! - [`printable`]: text of strangers on one line
//! - [`clock`]: wall clock time, real or simulated
//! - [`excerpt`]: what others sent, as people are shown it
//!
//! The services themselves are the packages beside this one. They are library functions that take
//! their listener, clock and stop signal, so that the same code runs in production, in a test on
//! port 0 and inside a simulator.

pub mod clock;
pub mod excerpt;
pub mod grpc;
pub mod limits;
pub mod message;
pub mod net;
pub mod printable;
pub mod process;
pub mod wire;
