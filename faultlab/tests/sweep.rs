//! A sample of the points at which `faultlab sweep` harms the logging service.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod support;

use faultlab::experiments::{
    NotRun,
    sweep::{ALL, Harm, Line, measure},
};

/// Of each kind of harm, the lines that say most.
fn sampled(line: &Line) -> bool {
    match (line.syscall, line.harm) {
        ("pwrite64" | "fdatasync" | "writev", Harm::Kill)
        | ("pwrite64" | "fdatasync", Harm::Error("EIO"))
        | ("pwrite64", Harm::Error("ENOSPC"))
        | ("fdatasync", Harm::Delay(_)) => true,
        (_, Harm::Kill | Harm::Error(_) | Harm::Delay(_)) => false,
    }
}

#[tokio::test]
async fn a_crash_or_a_failure_at_sampled_system_calls_loses_nothing() {
    let lines: Vec<Line> = ALL.into_iter().filter(sampled).collect();
    let swept = match measure(&lines, 8, 4, &mut |_| {}).await {
        Ok(swept) => swept,
        Err(error @ NotRun::Missing(_)) => return support::not_run(&error),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(swept.wrong, Vec::<String>::new());
    assert_eq!((swept.recovered, swept.acks_after_error), (swept.tried, 0));
    assert!(swept.tried >= 10, "only {} points", swept.tried);
}

/// The table of the big run, and what would be a miss.
#[tokio::test]
async fn a_point_that_did_not_recover_is_a_miss() {
    let swept = faultlab::experiments::sweep::Swept {
        tried: 5,
        recovered: 5,
        ..faultlab::experiments::sweep::Swept::default()
    };
    assert!(swept.goals().reached());
    let lost = faultlab::experiments::sweep::Swept { recovered: 4, ..swept.clone() };
    assert!(!lost.goals().reached());
    let lied = faultlab::experiments::sweep::Swept { acks_after_error: 1, ..swept };
    assert!(!lied.goals().reached());
}
