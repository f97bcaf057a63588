//! A laboratory for faults: real programs, real sockets, real signals. It shares no code with the
//! services, so it cannot share their mistakes. In reading order:
//!
//! - [`history`]: what clients did and saw, with times
//! - [`checker`]: a pure function of a history and the log as it is in the end
//! - [`load`]: concurrent clients that write the history
//! - [`open_loop`]: load at a constant rate, for capacity, latency and overload
//! - [`bulk`]: uploads, long reads and many readers, for benchmarks
//! - [`proxy`]: between two services: delays, drops, cuts
//! - [`programs`], [`processes`], [`cluster`]: real programs, built, killed, frozen and started again
//! - [`wait`]: waits for a state
//! - [`mount_namespace`]: a private view of the file system, for disks that go away
//! - [`nemesis`]: does harm by a schedule that follows from a seed
//! - [`resources`]: what the services use of memory, files and threads
//! - [`report`]: what a run came to, as a table and as a page
//! - [`experiments`]: what the program `faultlab` does: one kind of harm each, measured against a goal

pub mod bulk;
pub mod checker;
pub mod cluster;
pub mod experiments;
pub mod history;
mod http1;
pub mod load;
pub mod mount_namespace;
pub mod nemesis;
pub mod open_loop;
pub mod processes;
pub mod programs;
pub mod proxy;
pub mod report;
pub mod resources;
pub mod wait;
