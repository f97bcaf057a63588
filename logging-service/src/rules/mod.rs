//! The rules of the log, as pure functions: no IO, no clock, no randomness, no async.
//!
//! Everything that accepts, refuses or deduplicates a message is decided here, for one group of proposals
//! at a time, from facts about their ids that the caller has looked up before. The same proposals and
//! facts always give the same decision.

mod deduplicate;

pub use self::deduplicate::{Decision, Decisions, Fact, Fate, Rules};
