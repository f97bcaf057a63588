//! Data directories that a released version wrote, opened by the program of today: the same ids, places
//! and bodies for ever; damaged or newer ones refused and left as they are.
//!
//! - `data`: the directories, as text in `v1/`
//! - `program`: the real logging service on such a directory
//! - `opens`, `refuses`: what it makes of them
//!
//! `v1/` was written by the program itself: `ONCELOG_GOLDEN=<new directory>` with the test
//! `todays_program_writes_a_journal_that_is_read_back_as_it_was_sent` writes another. What is there
//! stays as it is; a new format gets a directory of its own.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod data;
mod opens;
mod program;
mod refuses;
