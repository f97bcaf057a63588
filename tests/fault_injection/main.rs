//! Real processes, real kills: what is promised holds whatever ends when.
//!
//! - `kills`: concurrent clients while services are killed at random; the clients, their history, its
//!   checker and the nemesis are those of `faultlab`
//! - `outages`, `restarts`, `startup`, `shutdown`, `full_disk`, `consoles`, `damage`, `data_removed`, `clocks`,
//!   `settings`: one fault each

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod clocks;
mod consoles;
mod damage;
mod data_removed;
mod full_disk;
mod kills;
mod outages;
mod restarts;
mod settings;
mod shutdown;
mod startup;
#[path = "../support/mod.rs"]
mod support;
