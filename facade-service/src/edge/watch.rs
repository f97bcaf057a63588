//! Bodies that tell their connection who waits for whom.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use oncelog::net::limiter::Place;

use super::exchange::Exchange;

/// A request's body. The connection waits for its client until all of it is there, or nobody wants
/// it any more.
pub(super) struct RequestBody {
    body: Incoming,
    /// It may outlive its connection: the lines of an upload that arrived are delivered all the same. By
    /// then the place belongs to another.
    exchange: Weak<Exchange>,
}

impl RequestBody {
    /// The body of a request whose head has just become complete.
    pub(super) fn new(body: Incoming, exchange: &Arc<Exchange>) -> Self {
        exchange.requested(body.is_end_stream());
        Self { body, exchange: Arc::downgrade(exchange) }
    }

    fn tell(&self, what: impl FnOnce(&Place)) {
        if let Some(exchange) = self.exchange.upgrade() {
            what(exchange.place());
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            self.tell(Place::works);
        }
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.tell(Place::works);
        } else if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.tell(|place| place.received(bytes));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body. Once all of it is on its way, the connection waits for its client again.
pub(super) struct ResponseBody {
    body: Body,
    exchange: Arc<Exchange>,
}

impl ResponseBody {
    pub(super) fn new(body: Body, exchange: Arc<Exchange>) -> Self {
        Self { body, exchange }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.exchange.answered();
    }
}

impl hyper::body::Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
