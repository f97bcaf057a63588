//! What is served where.

mod admin;
mod facade;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    response::IntoResponse as _,
    routing::{get, post},
};
use futures_util::{FutureExt as _, future::Either};
use http::{Method, Uri};
use oncelog::excerpt::Quote;
use tower::{Service as _, service_fn};

use self::{
    admin::health,
    facade::{list, post, record, upload},
};
use crate::{
    Facade,
    http::{
        problem::{Problem, RouteError},
        service::HttpService,
    },
};

/// The resources of `facade`, without the layers around them.
pub(crate) fn router(facade: Facade) -> Router {
    Router::new()
        .route("/facade", post(post::post).get(list::list))
        .route("/facade/batch", post(upload::upload))
        .route("/facade/{uuid}", get(record::record))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(facade)
}

/// Answers as `router` does. It does not ask the router for a post of one message: to find the way
/// there costs more than to read and check the message.
pub(crate) fn dispatch(facade: Facade, router: Router) -> impl HttpService {
    // One shared pair, so a clone for a request counts one reference.
    let routes = Arc::new((facade, router));
    service_fn(move |request: Request| {
        let (facade, router) = &*routes;
        if request.method() == Method::POST && request.uri().path() == "/facade" {
            let answered = post::post(State(facade.clone()), request);
            return Either::Left(answered.map(|answered| Ok(answered.into_response())));
        }
        Either::Right(router.clone().call(request))
    })
}

async fn not_found(uri: Uri) -> Problem {
    RouteError::NotFound(Quote::of(uri.path())).into()
}

async fn method_not_allowed(method: Method) -> Problem {
    RouteError::Method(Quote::of(method.as_str())).into()
}
