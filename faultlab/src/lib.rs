//! A laboratory for faults: real programs, real sockets, real signals. It shares no code with the
//! services, so it cannot share their mistakes. In reading order:
//!
//! - [`history`]: what clients did and saw, with times
//! - [`checker`]: the judge: a pure function of a history and the log as it is in the end
//! - [`load`]: concurrent clients that write the history
//! - [`proxy`]: between two services: delays, drops, cuts

pub mod checker;
pub mod history;
pub mod load;
pub mod proxy;
