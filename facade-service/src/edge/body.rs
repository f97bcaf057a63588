//! Tracked bodies: they tell the activity of their connection how far a request and its response are.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

use super::activity::Activity;

/// The body of a request. The connection waits for its client until all of it is there, or it is dropped.
pub(super) struct RequestBody {
    body: Incoming,
    /// It may outlive its connection: the lines of an upload that arrived are delivered all the same. By
    /// then the slot belongs to another connection.
    activity: Weak<Activity>,
}

impl RequestBody {
    /// The body of a request whose head has just become complete.
    pub(super) fn new(body: Incoming, activity: &Arc<Activity>) -> Self {
        activity.head_received(body.is_end_stream());
        Self { body, activity: Arc::downgrade(activity) }
    }

    fn tell(&self, what: impl FnOnce(&Activity)) {
        if let Some(activity) = self.activity.upgrade() {
            what(&activity);
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            self.tell(Activity::request_received);
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
            self.tell(Activity::request_received);
        } else if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.tell(|activity| activity.slot.received(bytes));
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

/// The body of a response. Once all of it is on its way, the connection waits for its client again.
pub(super) struct ResponseBody {
    body: Body,
    activity: Arc<Activity>,
    is_long_lived: bool,
}

impl ResponseBody {
    pub(super) fn new(body: Body, activity: Arc<Activity>, is_long_lived: bool) -> Self {
        Self { body, activity, is_long_lived }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.is_long_lived {
            self.activity.end_long_lived();
        }
        self.activity.response_sent();
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
