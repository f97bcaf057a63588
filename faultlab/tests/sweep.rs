//! A sample of the points at which `faultlab sweep` harms the logging service.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use faultlab::experiments::{
    NotRun,
    sweep::{ALL, Effect, Injection, measure},
};

/// Of each kind of harm, the injections that say most.
fn sampled(injection: &Injection) -> bool {
    match (injection.syscall, injection.effect) {
        ("pwrite64" | "fdatasync" | "writev", Effect::Kill)
        | ("pwrite64" | "fdatasync", Effect::Error("EIO"))
        | ("pwrite64", Effect::Error("ENOSPC"))
        | ("fdatasync", Effect::Delay(_)) => true,
        (_, Effect::Kill | Effect::Error(_) | Effect::Delay(_)) => false,
    }
}

#[tokio::test]
async fn a_crash_or_a_failure_at_sampled_system_calls_loses_nothing() {
    let injections: Vec<Injection> = ALL.into_iter().filter(sampled).collect();
    let results = match measure(&injections, 8, 4, &mut |_| {}).await {
        Ok(results) => results,
        Err(error @ NotRun::Missing(_)) => return support::not_run(&error),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(results.wrong, Vec::<String>::new());
    assert_eq!((results.recovered, results.acks_after_error), (results.tried, 0));
    assert!(results.tried >= 10, "only {} points", results.tried);
}

/// The table of the big run, and what would be a miss.
#[tokio::test]
async fn a_point_that_did_not_recover_is_a_miss() {
    let results = faultlab::experiments::sweep::Results {
        tried: 5,
        recovered: 5,
        ..faultlab::experiments::sweep::Results::default()
    };
    assert!(results.goals().reached());
    let lost = faultlab::experiments::sweep::Results { recovered: 4, ..results.clone() };
    assert!(!lost.goals().reached());
    let lied = faultlab::experiments::sweep::Results { acks_after_error: 1, ..results };
    assert!(!lied.goals().reached());
}
