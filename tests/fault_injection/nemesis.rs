//! Does harm at random moments, and undoes it.

use std::{collections::BTreeMap, time::Duration};

use crate::support::Trio;

/// Time between two faults, at most.
const GAP_MILLIS_MAX: u64 = 350;

/// A harm and its undoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillLogging,
    KillFacade,
    KillMessages,
    /// The logging service is away for longer than the facade waits.
    KeepLoggingDown,
    /// The logging service hangs for longer than the facade waits.
    FreezeLogging,
}

/// `logging_kills` kills of the logging service and some other harm between them, in random order.
pub(crate) fn plan(logging_kills: usize, rng: &mut fastrand::Rng) -> Vec<Fault> {
    let mut plan = vec![Fault::KillLogging; logging_kills];
    plan.extend([Fault::KillFacade; 4]);
    plan.extend([Fault::KillMessages, Fault::KeepLoggingDown]);
    plan.extend([Fault::FreezeLogging; 2]);
    rng.shuffle(&mut plan);
    plan
}

/// Carries out `plan`; `longer_than_patience` is longer than the facade spends on a message.
/// Returns how often it did what.
pub(crate) async fn harm(
    trio: &mut Trio,
    plan: &[Fault],
    longer_than_patience: Duration,
    rng: &mut fastrand::Rng,
) -> BTreeMap<Fault, usize> {
    let mut done = BTreeMap::new();
    for fault in plan {
        tokio::time::sleep(Duration::from_millis(rng.u64(0..GAP_MILLIS_MAX))).await;
        match fault {
            Fault::KillLogging => {
                trio.logging.kill_hard();
                trio.logging.restart().await;
            }
            Fault::KillFacade => {
                trio.facade.kill_hard();
                trio.facade.restart().await;
            }
            Fault::KillMessages => {
                trio.messages.kill_hard();
                trio.messages.restart().await;
            }
            Fault::KeepLoggingDown => {
                trio.logging.kill_hard();
                tokio::time::sleep(longer_than_patience).await;
                trio.logging.restart().await;
            }
            Fault::FreezeLogging => {
                trio.logging.freeze();
                tokio::time::sleep(longer_than_patience).await;
                trio.logging.thaw();
            }
        }
        *done.entry(*fault).or_default() += 1;
    }
    done
}
