//! Bodies that tell the place of their connection who waits for whom.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use oncelog::server::places::Place;

/// A request's body. The connection waits for its client until all of it is there, or nobody wants
/// it any more.
pub(super) struct RequestBody {
    body: Incoming,
    /// It may outlive its connection: the lines of an upload that arrived are delivered all the same. By
    /// then the place belongs to another.
    place: Weak<Place>,
}

impl RequestBody {
    /// The body of a request whose head has just become complete.
    pub(super) fn new(body: Incoming, place: &Arc<Place>) -> Self {
        if body.is_end_stream() {
            place.works();
        } else {
            place.waits();
        }
        Self { body, place: Arc::downgrade(place) }
    }

    fn tell(&self, what: impl FnOnce(&Place)) {
        if let Some(place) = self.place.upgrade() {
            what(&place);
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
    place: Arc<Place>,
}

impl ResponseBody {
    pub(super) fn new(body: Body, place: Arc<Place>) -> Self {
        Self { body, place }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.place.waits();
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
