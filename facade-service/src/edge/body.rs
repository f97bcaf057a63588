//! Tracked bodies: they tell the activity of their connection how far a request and its response are.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

use super::{activity::Activity, unread::Rest};

/// The body of a request. The connection waits for its client until all of it is there, or it is dropped.
/// What was not read by then is left to the connection.
pub(super) struct RequestBody {
    /// `None` once nothing more comes.
    body: Option<Incoming>,
    /// Whether the client sends nothing yet, because nothing was read yet.
    expects_continue: bool,
    /// It may outlive its connection: the lines of an upload that arrived are delivered all the same. By
    /// then the slot belongs to another connection.
    activity: Weak<Activity>,
}

impl RequestBody {
    /// The body of a request whose head has just become complete.
    pub(super) fn new(body: Incoming, expects_continue: bool, activity: &Arc<Activity>) -> Self {
        let is_whole = body.is_end_stream();
        activity.head_received(is_whole);
        let body = (!is_whole).then_some(body);
        Self { body, expects_continue, activity: Arc::downgrade(activity) }
    }

    fn tell(&self, what: impl FnOnce(&Activity)) {
        if let Some(activity) = self.activity.upgrade() {
            what(&activity);
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            let rest = if self.expects_continue { Rest::NotBegun } else { Rest::Unread(body) };
            self.tell(|activity| activity.rest_left(rest));
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
        // Reading it is what tells the client to go on.
        self.expects_continue = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        let is_whole = frame.is_none() || body.is_end_stream();
        match &frame {
            Some(Err(_)) => {
                self.body = None;
                self.tell(|activity| activity.rest_left(Rest::Broken));
            }
            Some(Ok(_)) | None if is_whole => {
                self.body = None;
                self.tell(Activity::request_received);
            }
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.tell(|activity| activity.slot.received(bytes));
            }
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
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
