//! A budget of time and memory for requests that arrive in pieces, each of one message.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{Either, Ready, ready as ready_with};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

use super::one_message::{InvalidRequest, OneMessage, check_head};
use crate::wire::surely_not_stored;

/// Bytes of all requests that are arriving in more than one piece. Without it memory could grow by as
/// much as there are calls times the largest request.
const BUDGET_BYTES: usize = 64 * 1024 * 1024;

/// From the head of a request to its last byte. Every request here is one message.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The budget of the requests that are arriving. Clones share it.
///
/// A gRPC server keeps what has arrived of a request until all of it is there, and waits as long as
/// the client likes. Many calls of one connection, and many connections, would fill any memory.
#[derive(Debug, Clone)]
pub struct BodyBudget(Arc<Semaphore>);

impl Default for BodyBudget {
    /// 64 MiB.
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_BYTES)))
    }
}

impl BodyBudget {
    /// `service`, whose requests are refused with `UNAVAILABLE` if the budget does not hold them, and with
    /// `DEADLINE_EXCEEDED` if they are not complete within 10 seconds. A request that arrives in one piece
    /// needs no budget.
    ///
    /// For services whose every request is one message: what is none, more than one, compressed or over
    /// [`GRPC_MESSAGE_BYTES_MAX`](crate::limits::GRPC_MESSAGE_BYTES_MAX) is refused. No method runs for what
    /// is refused here, so each refusal says that surely nothing was stored.
    pub fn guard<S>(&self, service: S) -> BudgetedService<S> {
        BudgetedService { service, budget: self.clone() }
    }
}

/// A service behind [`BodyBudget::guard`].
#[derive(Debug, Clone)]
pub struct BudgetedService<S> {
    service: S,
    budget: BodyBudget,
}

impl<S: NamedService> NamedService for BudgetedService<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for BudgetedService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if let Err(invalid) = check_head(&request) {
            return Either::Right(ready_with(Ok(invalid.response())));
        }
        let budgeted = |body| Body::new(BudgetedBody::new(body, Arc::clone(&self.budget.0)));
        Either::Left(self.service.call(request.map(budgeted)))
    }
}

struct BudgetedBody {
    body: Body,
    message: OneMessage,
    budget: Arc<Semaphore>,
    /// What this body takes of the budget, until it is dropped.
    taken: Vec<OwnedSemaphorePermit>,
    /// Runs once something is missing.
    timeout: Option<Pin<Box<Sleep>>>,
}

impl BudgetedBody {
    fn new(body: Body, budget: Arc<Semaphore>) -> Self {
        Self { body, message: OneMessage::default(), budget, taken: Vec::new(), timeout: None }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Status> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.budget).try_acquire_many_owned(permits).map_err(|_| {
            let reason =
                "too many large requests are arriving; nothing was stored, repeat the call";
            surely_not_stored(Status::unavailable(reason))
        })?;
        self.taken.push(more);
        Ok(())
    }
}

impl http_body::Body for BudgetedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let frame = match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => frame.transpose()?,
            Poll::Pending => {
                let timeout = this.timeout.get_or_insert_with(|| Box::pin(sleep(BODY_TIMEOUT)));
                ready!(timeout.as_mut().poll(cx));
                let late = Status::deadline_exceeded(format!(
                    "the request was not there after {BODY_TIMEOUT:?}; nothing was stored, repeat \
                     the call"
                ));
                return Poll::Ready(Some(Err(surely_not_stored(late))));
            }
        };
        if let Some(data) = frame.as_ref().and_then(Frame::data_ref) {
            this.message.received(data).map_err(InvalidRequest::status)?;
            if !this.body.is_end_stream() {
                this.take(data.len())?;
            }
        } else {
            // Trailers or the end.
            this.message.ended().map_err(InvalidRequest::status)?;
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{Stream, StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::wire::STORED_TRAILER;

    type Pieces = Result<Frame<Bytes>, Status>;

    /// A message in two pieces of 10 bytes, or the first of them.
    fn pieces(count: usize) -> impl Stream<Item = Pieces> {
        let pieces = [[0, 0, 0, 0, 15, 0, 0, 0, 0, 0], [0; 10]].into_iter().take(count);
        stream::iter(pieces.map(|piece| Ok(Frame::data(Bytes::from_owner(piece)))))
    }

    fn budgeted(
        pieces: impl Stream<Item = Pieces> + Send + 'static,
        budget: &BodyBudget,
    ) -> BudgetedBody {
        BudgetedBody::new(Body::new(StreamBody::new(Box::pin(pieces))), Arc::clone(&budget.0))
    }

    #[tokio::test]
    async fn requests_that_arrive_together_share_the_budget() {
        let budget = BodyBudget(Arc::new(Semaphore::new(25)));
        let mut first = budgeted(pieces(2), &budget);
        for _ in 0..2 {
            first.frame().await.unwrap().unwrap();
        }
        let refused = budgeted(pieces(2), &budget).frame().await.unwrap().unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unavailable);
        assert_eq!(refused.metadata().get(STORED_TRAILER).unwrap(), "no");
        drop(first);
        assert_eq!(budget.0.available_permits(), 25, "budget was lost");
        budgeted(pieces(2), &budget).collect().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_never_becomes_complete_times_out() {
        let endless = pieces(1).chain(stream::pending());
        let error = budgeted(endless, &BodyBudget::default()).collect().await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(error.metadata().get(STORED_TRAILER).unwrap(), "no");
    }
}
