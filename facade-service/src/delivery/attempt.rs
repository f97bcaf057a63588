//! One attempt: the live messages of a batch, sent once.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tonic::Status;
use tower::{BoxError, Service, ServiceExt as _};

use oncelog::wire::v1::{AppendRequest, AppendResponse};

use super::{
    batch::{Batch, Outcomes},
    shared::Shared,
};

/// The innermost service of the stack.
#[derive(Debug, Clone)]
pub(super) struct Attempt<S> {
    logging: S,
    shared: Arc<Shared>,
    timeout: Duration,
}

impl<S> Attempt<S> {
    /// Somebody else ends it after `timeout`.
    pub(super) fn new(logging: S, shared: Arc<Shared>, timeout: Duration) -> Self {
        Self { logging, shared, timeout }
    }
}

impl<S> Service<Batch> for Attempt<S>
where
    S: Service<AppendRequest, Response = AppendResponse, Error = Status> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Outcomes;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Outcomes, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // The timeouts of the stack cover `call` and not this, so all waiting is done in there. And
        // an error from here would end the retries.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        // A clone has to become ready by itself; this one was never asked.
        let (logging, shared) = (self.logging.clone(), Arc::clone(&self.shared));
        let timeout = self.timeout;
        Box::pin(async move {
            let live = batch.begin_attempt();
            if live.is_empty() {
                return Ok(Outcomes::new());
            }
            let (sent, began) = (batch.amount(&live), Instant::now());
            shared.queue.sent(sent, began);
            let response = logging.oneshot(batch.request(&live)).await?;
            let outcomes = batch.outcomes(&live, response)?;
            shared.queue.answered(sent, began.elapsed(), timeout);
            Ok(outcomes)
        })
    }
}
