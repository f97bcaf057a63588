//! Real processes, real kills: what is promised holds whatever ends when.
//!
//! - `history`, `checker`: what clients saw, and the judge; `checker_exam` is the judge's own exam
//! - `workload`, `nemesis`, `kills`: concurrent clients while services are killed at random
//! - `outages`, `restarts`, `startup`, `shutdown`, `full_disk`, `consoles`: one fault each

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod checker;
mod checker_exam;
mod consoles;
mod full_disk;
mod history;
mod kills;
mod nemesis;
mod outages;
mod restarts;
mod shutdown;
mod startup;
#[path = "../support/mod.rs"]
mod support;
mod workload;
