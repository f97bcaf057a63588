//! Does harm by a plan that follows from a seed alone, and undoes it.
//!
//! - [`Fault`], [`Victim`], [`Link`]: what can be done to what
//! - [`schedule`], [`kills`], [`lane`]: what is going to be done, and when
//! - [`harm`]: does it to real processes; simulations have a driver of their own

mod fault;
mod harm;
mod plan;

pub use self::{
    fault::{Fault, Link, MachineFault, Victim},
    harm::{Done, harm},
    plan::{Harm, Planned, Timing, kills, lane, schedule},
};
