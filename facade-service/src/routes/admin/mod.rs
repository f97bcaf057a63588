//! Resources for those who run the facade.

pub(super) mod health;
