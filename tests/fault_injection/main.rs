//! Real processes, real kills: what is promised holds whatever ends when.
//!
//! - `nemesis`, `kills`: concurrent clients while services are killed at random; the clients, their
//!   history and its judge are those of `faultlab`
//! - `outages`, `restarts`, `startup`, `shutdown`, `full_disk`, `consoles`: one fault each

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod consoles;
mod full_disk;
mod kills;
mod nemesis;
mod outages;
mod restarts;
mod shutdown;
mod startup;
#[path = "../support/mod.rs"]
mod support;
