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

    /// Leaves `rest` to the connection. False if the response is already made, and `rest` is dropped.
    pub(super) fn leave(&self, rest: Rest) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_wanted = matches!(*state, State::Wanted);
        if is_wanted {
            *state = State::Left(rest);
        }
        is_wanted
    }

    /// The response is made: what is left by now.
    fn take(&self) -> Option<Rest> {
        match self.set(State::NotWanted) {
            State::Left(rest) => Some(rest),
            State::NotWanted | State::Wanted => None,
        }
    }

    fn set(&self, state: State) -> State {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), state)
    }
}

/// Makes the connection ready for what follows `response`, or `response` say that nothing does.
///
/// A body that is still being read in another task is left to it.
pub(super) async fn settle(response: Response, activity: &Activity, pause: Duration) -> Response {
    match activity.rest_of_body.take() {
        None => response,
        Some(_) if response.status() == StatusCode::SWITCHING_PROTOCOLS => response,
        // It is boxed because few requests come here.
        Some(rest) => Box::pin(settle_rest(rest, response, activity, pause)).await,
    }
}

async fn settle_rest(
    rest: Rest,
    mut response: Response,
    activity: &Activity,
    pause: Duration,
) -> Response {
    let is_settled = match rest {
        Rest::Unread(body) => {
            // It was waited for long enough.
            let is_late = response.status() == StatusCode::REQUEST_TIMEOUT;
            let discarding = async { timeout(pause, discard(body, activity)).await == Ok(true) };
            let closing = activity.slot.close_signal().sent();
            !is_late
                && tokio::select! {
                    biased;
                    is_whole = discarding => is_whole,
                    () = closing => false,
                }
        }
        Rest::NotBegun | Rest::Broken => false,
    };
    activity.request_received();
    if !is_settled {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
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
