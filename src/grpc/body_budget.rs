//! Requests that arrive in pieces, held to a time and to what memory they may fill together.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Request;
use http_body::{Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

use crate::limits::{GRPC_BODIES_BYTES_MAX, GRPC_BODY_TIMEOUT};

/// Room for the requests that are arriving. Clones share it.
///
/// A gRPC server keeps what has arrived of a request until all of it is there, and waits as long as
/// the client likes. Many calls of one connection, and many connections, would fill any memory.
#[derive(Debug, Clone)]
pub struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(GRPC_BODIES_BYTES_MAX)))
    }
}

impl Bodies {
    /// `service`, whose requests are refused if there is no room for them, or if they are not there
    /// within [`GRPC_BODY_TIMEOUT`]. A request that arrives in one piece needs no room. For services
    /// whose every request is one message.
    pub fn guard<S>(&self, service: S) -> Guarded<S> {
        Guarded { service, bodies: self.clone() }
    }
}

/// A service behind [`Bodies::guard`].
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    service: S,
    bodies: Bodies,
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Guarded<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let guard = |body| Body::new(GuardedBody::new(body, Arc::clone(&self.bodies.0)));
        self.service.call(request.map(guard))
    }
}

struct GuardedBody {
    body: Body,
    room: Arc<Semaphore>,
    /// What of the room this body takes, until it is let go of.
    taken: Option<OwnedSemaphorePermit>,
    /// Runs once something is missing.
    timeout: Option<Pin<Box<Sleep>>>,
}

impl GuardedBody {
    fn new(body: Body, room: Arc<Semaphore>) -> Self {
        Self { body, room, taken: None, timeout: None }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Status> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.room).try_acquire_many_owned(permits).map_err(|_| {
            Status::unavailable("too many large requests are arriving; repeat the call")
        })?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

impl http_body::Body for GuardedBody {
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
                let timeout =
                    this.timeout.get_or_insert_with(|| Box::pin(sleep(GRPC_BODY_TIMEOUT)));
                ready!(timeout.as_mut().poll(cx));
                return Poll::Ready(Some(Err(Status::deadline_exceeded(format!(
                    "the request was not there after {GRPC_BODY_TIMEOUT:?}; repeat the call"
                )))));
            }
        };
        if let Some(data) = frame.as_ref().and_then(Frame::data_ref)
            && !this.body.is_end_stream()
        {
            this.take(data.len())?;
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

    type Pieces = Result<Frame<Bytes>, Status>;

    fn pieces(count: usize) -> impl Stream<Item = Pieces> {
        stream::iter((0..count).map(|_| Ok(Frame::data(Bytes::from(vec![0; 10])))))
    }

    fn guarded(pieces: impl Stream<Item = Pieces> + Send + 'static, room: &Bodies) -> GuardedBody {
        GuardedBody::new(Body::new(StreamBody::new(Box::pin(pieces))), Arc::clone(&room.0))
    }

    #[tokio::test]
    async fn requests_that_arrive_together_share_their_room() {
        let room = Bodies(Arc::new(Semaphore::new(25)));
        let mut first = guarded(pieces(2), &room);
        for _ in 0..2 {
            first.frame().await.unwrap().unwrap();
        }
        let refused = guarded(pieces(2), &room).frame().await.unwrap().unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unavailable);
        drop(first);
        assert_eq!(room.0.available_permits(), 25, "room was lost");
        guarded(pieces(2), &room).collect().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_come_to_its_end_is_given_up() {
        let endless = pieces(1).chain(stream::pending());
        let error = guarded(endless, &Bodies::default()).collect().await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
    }
}
