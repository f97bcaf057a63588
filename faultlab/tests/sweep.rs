//! A sample of the points at which `faultlab sweep` harms the logging service.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use faultlab::experiments::sweep::{Effect, Injection, Results, all, measure};

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
    let injections: Vec<Injection> = all().filter(sampled).collect();
    let results = measure(&injections, 8, 4, &mut |_| {}).await;
    let Some(results) = support::unless_not_run(results) else { return };
    assert_eq!(results.wrong, Vec::<String>::new());
    assert_eq!((results.recovered, results.acks_after_error), (results.tried, 0));
    assert!(results.tried >= 10, "only {} points", results.tried);
}

/// The table of the big run, and what would be a miss.
#[tokio::test]
async fn a_point_that_did_not_recover_is_a_miss() {
    let results = Results { tried: 5, recovered: 5, ..Results::default() };
    assert!(results.goals().reached());
    let lost = Results { recovered: 4, ..results.clone() };
    assert!(!lost.goals().reached());
    let lied = Results { acks_after_error: 1, ..results };
    assert!(!lied.goals().reached());
}
