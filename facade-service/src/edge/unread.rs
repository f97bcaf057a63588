//! What is left of a request's body when its response is made: a refusal must not harm the next request.
//!
//! The HTTP library closes a connection whose request was not read to its end, without a word, and a next
//! request that is on its way is lost. So the rest is read and thrown away, within bounds; beyond them the
//! response says that the connection closes.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::response::Response;
use http::{HeaderValue, StatusCode, header::CONNECTION};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::time::timeout;

use super::activity::Activity;

/// How much of a body is thrown away. A larger rest ends with its connection.
const UNREAD_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is left of the body of a request.
pub(super) enum Rest {
    /// It was not read to its end.
    Unread(Incoming),
    /// The client sends nothing before it gets a `100 Continue`, which it did not get.
    NotBegun,
    /// Where the request ends is not known.
    Broken,
}

/// The way of a rest from the handler that drops the body to the connection.
#[derive(Default)]
pub(super) struct RestOfBody(Mutex<State>);

#[derive(Default)]
enum State {
    /// There is no request, its body was read to its end, or its response is made.
    #[default]
    NotWanted,
    Wanted,
    Left(Rest),
}

impl RestOfBody {
    /// A request with a body begins.
    pub(super) fn begin(&self) {
        self.set(State::Wanted);
    }

    /// Leaves `rest` to the connection, unless the response is already made.
    pub(super) fn leave(&self, rest: Rest) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Wanted) {
            *state = State::Left(rest);
        }
    }

    /// The response is made: what is left by now. Where another task still reads the body, nothing is, and
    /// the task goes on.
    pub(super) fn take(&self) -> Option<Rest> {
        match self.set(State::NotWanted) {
            State::Left(rest) => Some(rest),
            State::NotWanted | State::Wanted => None,
        }
    }

    fn set(&self, state: State) -> State {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), state)
    }
}

/// Makes the connection ready for what follows `response`, or has `response` say that nothing does. The
/// `rest` of the body may take `limit` to arrive.
pub(super) async fn settle(
    rest: Rest,
    mut response: Response,
    activity: &Activity,
    limit: Duration,
) -> Response {
    let closes = match (rest, response.status()) {
        (_, StatusCode::SWITCHING_PROTOCOLS) => false,
        // The time for the body has passed.
        (_, StatusCode::REQUEST_TIMEOUT) | (Rest::NotBegun | Rest::Broken, _) => true,
        (Rest::Unread(_), _) if says_close(&response) => true,
        (Rest::Unread(body), _) => {
            // The connection waits for its client once more.
            activity.slot.set_idle();
            let is_read = timeout(limit, discard(body, activity));
            let is_read = tokio::select! {
                biased;
                is_read = is_read => is_read == Ok(true),
                () = activity.slot.close_signal().sent() => false,
            };
            activity.slot.set_busy();
            !is_read
        }
    };
    if closes {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn says_close(response: &Response) -> bool {
    let is_close = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    response.headers().get(CONNECTION).is_some_and(is_close)
}

/// Reads `body` to its end. False if it is too large, or breaks off.
async fn discard(mut body: Incoming, activity: &Activity) -> bool {
    let mut left = UNREAD_BODY_BYTES_MAX;
    while !body.is_end_stream() {
        if body.size_hint().lower() > left as u64 {
            return false;
        }
        match body.frame().await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                activity.slot.received(bytes);
                let Some(rest) = left.checked_sub(bytes) else { return false };
                left = rest;
            }
        }
    }
    true
}
