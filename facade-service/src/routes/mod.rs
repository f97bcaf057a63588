//! What is served where.

mod batch;
mod health;
mod list;
mod post;
mod record;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    response::Response,
    routing::{get, post},
};
use http::{HeaderValue, Method, StatusCode, Uri, header::CONTENT_TYPE};
use tokio_util::sync::CancellationToken;

use crate::{
    Facade,
    error::{Failure, RouteError},
    request::media_type::JSON,
};

/// The resources of the facade. Once `stop` is cancelled it reports not ready, and uploads take no
/// more lines.
///
/// The router trusts its server with the timeouts of connections: use [`serve`](crate::serve).
pub fn router(facade: Facade, stop: CancellationToken) -> Router {
    Router::new()
        .route("/facade", post(post::post).get(list::list))
        .route("/facade/batch", post(batch::upload))
        .route("/facade/{uuid}", get(record::record))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Arc::new(App { facade, stop }))
}

/// What every handler gets. It is shared: cloning a token for each request would take its lock.
struct App {
    facade: Facade,
    stop: CancellationToken,
}

async fn not_found(uri: Uri) -> Failure {
    RouteError::NotFound(uri.path().to_owned()).into()
}

async fn method_not_allowed(method: Method) -> Failure {
    RouteError::Method(method).into()
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}
