//! Does harm by a schedule that follows from a seed alone, and undoes it.
//!
//! - [`Fault`], [`Victim`], [`Link`]: what can be done to whom
//! - [`schedule`], [`kills`]: what is going to be done, and when
//! - [`harm`]: does it

mod fault;
mod harm;
mod plan;

pub use self::{
    fault::{Fault, Link, Victim},
    harm::{Done, harm},
    plan::{Harm, Planned, kills, schedule},
};
