//! A long run is checked in little room and time. The big version is `faultlab scale`.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use std::time::Duration;

use faultlab::experiments::scale::{first_checker, make_up, second_checker};

const ATTEMPTS: u64 = 20_000;

/// Several times what it takes without optimization on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Of the whole process, so a share of it does not grow with the run.
const BYTES_MAX: u64 = 100 * 1024 * 1024;

#[test]
fn both_checkers_check_a_long_run_in_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    make_up(ATTEMPTS, dir.path()).unwrap();
    let (verdict, first) = first_checker(dir.path()).unwrap();
    assert_eq!(verdict.violations, []);
    assert_eq!(verdict.account.attempts as u64, ATTEMPTS);
    assert!(verdict.account.absorbed > 0 && verdict.account.uncertain > 0);
    let (second_verdict, second) = second_checker(dir.path()).unwrap();
    second_verdict.agreed(verdict).unwrap();
    assert!(first.time < TIME_MAX && second.time < TIME_MAX, "{first:?} {second:?}");
    assert!(first.memory < BYTES_MAX, "{first:?}");
}
