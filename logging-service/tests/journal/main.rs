//! The durable journal, through its public doors.
#![allow(clippy::unwrap_used, clippy::expect_used)] // These are tests; helpers are not marked so.

mod behaviour;
mod crashes;
mod damage;
mod damage_in_use;
mod failures;
mod format;
mod helper;
mod model;
mod place;
mod real_disk;
mod repairs;
mod verification;
mod workload;
