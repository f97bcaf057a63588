//! What is served where.

mod admin;
mod facade;

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{FutureExt as _, future::Either};
use http::{HeaderValue, Method, StatusCode, Uri, header::CONTENT_TYPE};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use self::{
    admin::health,
    facade::{list, post, record, upload},
};
use crate::{
    Facade,
    http::{
        media_type::JSON,
        problem::{Failure, RouteError},
    },
};

/// The resources of the facade. Once `stop` is cancelled it reports not ready, and uploads take no
/// more lines.
///
/// The router trusts its server with the timeouts of connections: use [`serve`](crate::serve).
pub fn router(facade: Facade, stop: CancellationToken) -> Router {
    routes(Arc::new(App { facade, stop }))
}

fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/facade", post(post::post).get(list::list))
        .route("/facade/batch", post(upload::upload))
        .route("/facade/{uuid}", get(record::record))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

/// The resources, as connections ask for them.
#[derive(Clone)]
pub(crate) struct Resources {
    app: Arc<App>,
    router: Router,
}

impl Resources {
    /// The same as [`router`].
    pub(crate) fn new(facade: Facade, stop: CancellationToken) -> Self {
        let app = Arc::new(App { facade, stop });
        Self { router: routes(Arc::clone(&app)), app }
    }

    /// Answers what the router would. It is not asked for a post of one message: to find the way
    /// there costs more than to read and check the message.
    pub(crate) fn answer(self, request: Request) -> impl Future<Output = Response> + Send {
        let Self { app, mut router } = self;
        if request.method() == Method::POST && request.uri().path() == "/facade" {
            let answer = post::post(State(app), request);
            return Either::Left(answer.map(IntoResponse::into_response));
        }
        Either::Right(router.call(request).map(|Ok(response)| response))
    }
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
