//! When an attempt is repeated, and after what delay: exponential ceilings, and a random part of them.
//!
//! This is the only file that knows the `backoff` crate. The crate is unmaintained
//! (RUSTSEC-2025-0012) and stays because it does one small thing here, computing the ceilings, which
//! the tests below pin down: replacing it means rewriting [`backoff_schedule`] and nothing else. Its own
//! randomization is off, since it draws from a source that cannot be seeded.

use std::{mem, sync::Arc, time::Duration};

use backoff::{
    ExponentialBackoffBuilder, SystemClock, backoff::Backoff as _, exponential::ExponentialBackoff,
};
use futures_util::future::BoxFuture;
use tower::{
    BoxError,
    retry::{
        Policy,
        budget::{Budget as _, TpsBudget},
    },
};

use super::{
    call::{Call, Outcomes},
    classify::{AttemptFailure, Remedy, Verdict, classify},
    jitter::Jitter,
    queue::Queue,
};

/// Ceiling of the delay before the first retry; the delay itself is a random part of it.
const BACKOFF_INITIAL: Duration = Duration::from_millis(50);

/// Ceiling of the delay before any retry: how much later than its end an outage may be noticed.
pub const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// How much the ceiling grows with each retry.
const BACKOFF_MULTIPLIER: f64 = 2.0;

/// Retries allowed as a share of calls, so that an outage is not answered with a storm.
const RETRY_BUDGET_RATIO: f32 = 0.2;

/// Retries a second allowed whatever the share, so that a quiet facade retries too.
const RETRY_BUDGET_PER_SECOND_MIN: u32 = 10;

/// How long a call counts towards the retry budget.
const RETRY_BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// The policy of one call: counters of its own, budget and jitter shared with all others.
#[derive(Debug, Clone)]
pub(super) struct RetryPolicy {
    /// Number of the attempt under way.
    attempt: u32,
    schedule: ExponentialBackoff<SystemClock>,
    jitter: Jitter,
    budget: Arc<TpsBudget>,
    attempt_timeout: Duration,
    queue: Arc<Queue>,
}

/// The last attempt failed in a way that a retry could mend, but too many calls do.
#[derive(Debug, thiserror::Error)]
#[error("too many retries lately")]
pub(super) struct BudgetSpent;

/// The retries allowed to all calls together. The reserve alone lets a facade with hardly any
/// traffic retry through an outage as long as the total timeout.
pub(super) fn retry_budget() -> TpsBudget {
    TpsBudget::new(RETRY_BUDGET_WINDOW, RETRY_BUDGET_PER_SECOND_MIN, RETRY_BUDGET_RATIO)
}

impl RetryPolicy {
    pub(super) fn new(
        jitter: Jitter,
        budget: TpsBudget,
        attempt_timeout: Duration,
        queue: Arc<Queue>,
    ) -> Self {
        let (schedule, budget) = (backoff_schedule(), Arc::new(budget));
        Self { attempt: 1, schedule, jitter, budget, attempt_timeout, queue }
    }

    fn succeeded(&self, outcomes: &Outcomes) {
        if outcomes.is_empty() {
            // All appends were cancelled, so no attempt was made and nothing is known to work again.
            return;
        }
        self.budget.deposit();
        if self.attempt > 1 {
            let (attempt, messages) = (self.attempt, outcomes.len());
            tracing::info!(attempt, messages, "delivered after retries");
        }
    }

    /// The delay before the next attempt; none to end the call with `error`.
    fn failed(&mut self, call: &mut Call, error: &mut BoxError) -> Option<Duration> {
        let Verdict { fate, remedy } = classify(&**error);
        call.end_attempt(fate);
        // What is left in its place is the error of a call whose retries are spent.
        let failure =
            AttemptFailure::new(mem::replace(error, BudgetSpent.into()), self.attempt_timeout);
        self.queue.attempt_failed(failure.clone(), remedy);
        let repeatable = match remedy {
            Remedy::Retry => !call.is_cancelled(),
            Remedy::Split | Remedy::GiveUp => false,
        };
        if !repeatable {
            *error = failure.into();
            return None;
        }
        if !self.budget.withdraw() {
            tracing::warn!(attempt = self.attempt, error = %failure, "not retrying: {BudgetSpent}");
            return None;
        }
        let delay = self.jitter.delay(self.schedule.next_backoff().unwrap_or(BACKOFF_MAX));
        self.attempt += 1;
        tracing::warn!(
            attempt = self.attempt,
            delay = %format_args!("{}ms", delay.as_millis()),
            error = %failure,
            messages = call.len(),
            "retrying"
        );
        call.probe();
        Some(delay)
    }
}

impl Policy<Call, Outcomes, BoxError> for RetryPolicy {
    type Future = BoxFuture<'static, ()>;

    fn retry(
        &mut self,
        call: &mut Call,
        result: &mut Result<Outcomes, BoxError>,
    ) -> Option<Self::Future> {
        match result {
            Ok(outcomes) => {
                self.succeeded(outcomes);
                None
            }
            Err(error) => {
                let delay = self.failed(call, error)?;
                Some(Box::pin(wait(delay, call.clone(), Arc::clone(&self.queue))))
            }
        }
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}

/// Waits for `delay`, or until all appends of the call are cancelled: the next call should not wait in
/// its place.
async fn wait(delay: Duration, call: Call, queue: Arc<Queue>) {
    let abandoned = async {
        while !call.is_cancelled() {
            queue.cancelled().await;
        }
    };
    let _ = tokio::time::timeout(delay, abandoned).await;
}

/// The backoff schedule of one call: the ceilings of its delays, lowest first.
fn backoff_schedule() -> ExponentialBackoff<SystemClock> {
    ExponentialBackoffBuilder::new()
        .with_initial_interval(BACKOFF_INITIAL)
        .with_multiplier(BACKOFF_MULTIPLIER)
        .with_max_interval(BACKOFF_MAX)
        .with_randomization_factor(0.0)
        // The total timeout ends a call. A second clock in here would not stop in tests.
        .with_max_elapsed_time(None)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_from_50_ms_and_stop_at_2_s() {
        let mut schedule = backoff_schedule();
        let mut next = || schedule.next_backoff().unwrap().as_millis();
        let seen: Vec<u128> = (0..9).map(|_| next()).collect();
        assert_eq!(seen, [50, 100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    }
}
