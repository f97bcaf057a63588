//! What answers requests.

use std::convert::Infallible;

use axum::{extract::Request, response::Response};
use tower::Service;

/// A service that answers every request. Clones are the same service. It is always ready: a layer that has
/// enough to do answers with a refusal.
pub trait HttpService:
    Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> HttpService for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}
