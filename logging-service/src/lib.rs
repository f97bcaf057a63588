//! Stores each message once. In reading order:
//!
//! - `grpc`: the contract on the wire
//! - [`log`]: what is stored once, in what order, and which reads may see it
//! - [`rules`]: what becomes of each message, as pure functions
//! - [`store`]: where records are kept; the only part that knows of a disk
//! - `run`, `service`, `open`, `readiness`, `execution`, [`settings`], [`limits`], [`console`]: the life
//!   of the service around them

pub mod console;
mod execution;
mod grpc;
pub mod limits;
pub mod log;
mod open;
mod readiness;
pub mod rules;
mod run;
mod service;
pub mod settings;
pub mod store;
#[cfg(test)]
mod testing;

pub use self::{
    execution::Execution,
    log::OpenStore,
    open::{OpenJournalError, OpenStoreError, open, open_journal},
    run::run,
    service::{Parts, ServeError, serve, serve_incoming},
};
