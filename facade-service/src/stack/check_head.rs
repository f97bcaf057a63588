//! The layer that lets no request pass whose head says two things.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use futures_util::future::{Either, Ready, ready};
use http::Method;
use tower::{Layer, Service};

use crate::http::{head, problem::Problem};

/// Refuses a request whose [head](crate::http::head) is not valid, and closes its connection: a program
/// between may see the next request elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckHeadLayer;

impl<S> Layer<S> for CheckHeadLayer {
    type Service = CheckHead<S>;

    fn layer(&self, inner: S) -> CheckHead<S> {
        CheckHead(inner)
    }
}

/// A service with [`CheckHeadLayer`] around it.
#[derive(Debug, Clone)]
pub(crate) struct CheckHead<S>(S);

impl<S> Service<Request> for CheckHead<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match head::check(&request) {
            Ok(()) => Either::Left(self.0.call(request)),
            Err(error) => {
                let is_post = request.method() == Method::POST;
                Either::Right(ready(Ok(Problem::of_head(&error, is_post).into_response())))
            }
        }
    }
}
