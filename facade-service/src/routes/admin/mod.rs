//! Resources for operators of the facade.

pub(super) mod health;
