//! The stack of layers around every route.
//!
//! Connections and [`router`] hand every request to the same [`stack`]. A layer that is
//! added to [`layers`] sees all of them whose head is valid, also those that go past the router. Every message pays for every
//! layer, so a layer allocates nothing and boxes nothing for a request.

mod check_head;

use std::{
    any::Any,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use futures_util::{
    FutureExt as _,
    future::{CatchUnwind, Either, Map, Ready, ready},
};
use http::{Method, StatusCode};
use oncelog::net::LongLived;
use tower::{
    Layer, Service, ServiceBuilder,
    layer::util::{Identity, Stack},
    util::MapResponseLayer,
};

use self::check_head::CheckHeadLayer;
use crate::{
    Facade,
    http::{
        problem::{Problem, RouteError},
        service::HttpService,
    },
    routes,
};

/// The stack of `facade` as a router: what connections are served, for callers without a connection.
/// Once the facade's stop is cancelled it reports not ready, and uploads take no more lines.
///
/// The router trusts its server with the timeouts of connections: use [`serve`](crate::serve).
pub fn router(facade: Facade) -> Router {
    Router::new().fallback_service(stack(facade))
}

/// The stack of `facade`, and its routes without the layers: to compare what they cost.
#[doc(hidden)]
pub fn stack_and_routes(facade: Facade) -> (impl HttpService, impl HttpService) {
    (stack(facade.clone()), routes::dispatch(facade.clone(), routes::router(facade)))
}

/// All routes of `facade` within all layers.
pub(crate) fn stack(facade: Facade) -> impl HttpService {
    layers().service(routes::dispatch(facade.clone(), routes::router(facade)))
}

type CheckUpgrade = MapResponseLayer<fn(Response) -> Response>;
type Layers = Stack<CheckHeadLayer, Stack<CheckUpgrade, Stack<CatchPanicLayer, Identity>>>;

/// The layers, the outermost first. A panic in a layer below the first one is answered as well.
pub(crate) fn layers() -> ServiceBuilder<Layers> {
    let check_upgrade: fn(Response) -> Response = check_upgrade;
    ServiceBuilder::new().layer(CatchPanicLayer).map_response(check_upgrade).layer(CheckHeadLayer)
}

/// # Panics
/// If a handler upgrades a connection that the connection limiter has not admitted as long-lived.
fn check_upgrade(response: Response) -> Response {
    assert!(
        response.status() != StatusCode::SWITCHING_PROTOCOLS
            || response.extensions().get::<LongLived>().is_some(),
        "a handler upgrades a connection that was not admitted"
    );
    response
}

/// Answers a request whose handler panicked with a 500. The panic ends no other request, and the
/// connection goes on. A panic in `poll_ready` of a layer is not caught: no layer here has one of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CatchPanicLayer;

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic(inner)
    }
}

/// A service with [`CatchPanicLayer`] around it.
#[derive(Debug, Clone)]
pub(crate) struct CatchPanic<S>(S);

type Answer = Result<Response, Infallible>;
type Caught = Result<Answer, Box<dyn Any + Send>>;

impl<S> Service<Request> for CatchPanic<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future =
        Either<Map<CatchUnwind<AssertUnwindSafe<S::Future>>, fn(Caught) -> Answer>, Ready<Answer>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer: fn(Caught) -> Answer = if request.method() == Method::POST {
            |caught| caught.unwrap_or_else(|_| internal(RouteError::PostPanicked))
        } else {
            |caught| caught.unwrap_or_else(|_| internal(RouteError::Panicked))
        };
        // A handler may begin its work before its future is polled.
        match catch_unwind(AssertUnwindSafe(|| self.0.call(request))) {
            Ok(future) => Either::Left(AssertUnwindSafe(future).catch_unwind().map(answer)),
            Err(panic) => Either::Right(ready(answer(Err(panic)))),
        }
    }
}

fn internal(error: RouteError) -> Answer {
    // The panic hook has told where.
    tracing::error!("a request handler panicked; its client got a 500");
    Ok(Problem::from(error).into_response())
}

#[cfg(test)]
mod tests;
