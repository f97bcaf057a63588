//! When an attempt is repeated, and after what delay.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tower::{
    BoxError,
    retry::{
        Policy,
        budget::{Budget as _, TpsBudget},
    },
};

use oncelog::limits;

use super::{
    backoff::{Ceilings, Jitter},
    batch::{Batch, Outcomes},
    classify::{Remedy, Verdict, classify, describe},
    shared::Shared,
};

/// The policy of one batch: counters of its own, budget and jitter shared with all others.
#[derive(Debug, Clone)]
pub(super) struct RetryPolicy {
    /// Number of the attempt under way.
    attempt: u32,
    ceilings: Ceilings,
    jitter: Jitter,
    budget: Arc<TpsBudget>,
    attempt_timeout: Duration,
    shared: Arc<Shared>,
}

/// The last attempt failed in a way that a retry could mend, but too many calls do.
#[derive(Debug, thiserror::Error)]
#[error("too many retries lately")]
pub(super) struct BudgetSpent;

/// The retries allowed to all batches together. The reserve alone lets a facade with hardly any
/// traffic retry through an outage as long as the total timeout.
pub(super) fn retry_budget() -> TpsBudget {
    TpsBudget::new(
        limits::RETRY_BUDGET_WINDOW,
        limits::RETRY_BUDGET_PER_SECOND_MIN,
        limits::RETRY_BUDGET_RATIO,
    )
}

impl RetryPolicy {
    pub(super) fn new(
        jitter: Jitter,
        budget: TpsBudget,
        attempt_timeout: Duration,
        shared: Arc<Shared>,
    ) -> Self {
        let (ceilings, budget) = (Ceilings::new(), Arc::new(budget));
        Self { attempt: 1, ceilings, jitter, budget, attempt_timeout, shared }
    }

    fn succeeded(&self, outcomes: &Outcomes) {
        if outcomes.is_empty() {
            // Nobody waited any more, so no call was made and nothing is known to work again.
            return;
        }
        self.budget.deposit();
        self.shared.clear_failure();
        if self.attempt > 1 {
            let (attempt, messages) = (self.attempt, outcomes.len());
            tracing::info!(attempt, messages, "delivered after retries");
        }
    }

    /// The delay before the next attempt; none to end the call with `error`.
    fn failed(&mut self, batch: &mut Batch, error: &mut BoxError) -> Option<Duration> {
        let Verdict { fate, remedy } = classify(&**error);
        batch.end_attempt(fate);
        let text = describe(&**error, self.attempt_timeout);
        self.shared.record_failure(&text);
        if remedy == Remedy::Retry {
            self.shared.queue.failed();
        }
        match remedy {
            Remedy::Retry if batch.is_abandoned() => return None,
            Remedy::Retry => {}
            Remedy::Split | Remedy::GiveUp => return None,
        }
        if !self.budget.withdraw() {
            tracing::warn!(attempt = self.attempt, error = %text, "not retrying: {BudgetSpent}");
            *error = BudgetSpent.into();
            return None;
        }
        let delay = self.jitter.delay(self.ceilings.next());
        self.attempt += 1;
        tracing::warn!(
            attempt = self.attempt,
            delay = %format_args!("{}ms", delay.as_millis()),
            error = %text,
            messages = batch.len(),
            "retrying"
        );
        batch.send_one_ahead();
        Some(delay)
    }
}

impl Policy<Batch, Outcomes, BoxError> for RetryPolicy {
    type Future = BoxFuture<'static, ()>;

    fn retry(
        &mut self,
        batch: &mut Batch,
        result: &mut Result<Outcomes, BoxError>,
    ) -> Option<Self::Future> {
        match result {
            Ok(outcomes) => {
                self.succeeded(outcomes);
                None
            }
            Err(error) => {
                let delay = self.failed(batch, error)?;
                Some(Box::pin(wait(delay, batch.clone(), Arc::clone(&self.shared))))
            }
        }
    }

    fn clone_request(&mut self, batch: &Batch) -> Option<Batch> {
        Some(batch.clone())
    }
}

/// Waits for `delay`, or until nobody waits for the batch any more: the next batch should not wait
/// in its place.
async fn wait(delay: Duration, batch: Batch, shared: Arc<Shared>) {
    let abandoned = async {
        while !batch.is_abandoned() {
            shared.departure.notified().await;
        }
    };
    tokio::select! {
        // A fixed order, so that a simulation repeats itself.
        biased;
        () = tokio::time::sleep(delay) => {}
        () = abandoned => {}
    }
}
