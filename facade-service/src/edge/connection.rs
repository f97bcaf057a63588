//! One connection.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
};

use axum::{body::Body, response::Response};
use futures_util::FutureExt as _;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use oncelog::net::limiter::Place;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    EdgeLimits,
    exchange::Exchange,
    io::ClientIo,
    watch::{RequestBody, ResponseBody},
};
use crate::stack::HttpService;

/// The stack, for the one connection that has this place.
pub(super) struct Placed<S> {
    stack: S,
    exchange: Arc<Exchange>,
}

impl<S: HttpService> Placed<S> {
    pub(super) fn new(stack: S, place: Place) -> Self {
        Self { stack, exchange: Arc::new(Exchange::new(place)) }
    }
}

/// Serves the requests of a connection, one after the other, until the client leaves, a limit is
/// reached, its place is needed, `stop` finds it idle, or `cut`, after `stop`, ends it whatever it
/// does.
///
/// An answer that breaks off ends in a `reset`: where only the end of the connection ends an answer
/// (HTTP/1.0), nothing else tells it from a whole one.
pub(super) fn serve<IO, S: HttpService>(
    io: IO,
    placed: Placed<S>,
    limits: &EdgeLimits,
    reset: fn(&IO),
    stop: CancellationToken,
    cut: CancellationToken,
) -> impl Future<Output = ()> + Send + use<IO, S>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Placed { stack, exchange } = placed;
    let io = ClientIo::new(io, Arc::clone(&exchange), limits, reset);
    let answering = Arc::clone(&exchange);
    let service = service_fn(move |request| answer(stack.clone(), request, Arc::clone(&answering)));
    let connection = http1::Builder::new()
        .max_buf_size(limits.header_bytes)
        .serve_connection(TokioIo::new(io), service);
    let header_read = limits.header_read;
    async move {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => Some(ended),
            // It bounds the first byte and idle connections too.
            () = exchange.head_overdue(header_read) => {
                connection.as_mut().graceful_shutdown();
                connection.now_or_never()
            }
            () = poll_fn(|cx| exchange.place().leave().poll_given(cx)) => {
                connection.as_mut().graceful_shutdown();
                if stop.is_cancelled() || exchange.place().is_at_work() {
                    // Or it got a request after it was chosen.
                    cut.run_until_cancelled(connection).await
                } else {
                    // An idle one closes in good order now, and any other breaks off.
                    connection.now_or_never()
                }
            }
        };
        if let Some(Err(error)) = ended {
            tracing::debug!("a connection ended early: {error}");
        }
    }
}

fn answer<S: HttpService>(
    stack: S,
    request: Request<Incoming>,
    exchange: Arc<Exchange>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + Send {
    let request = request.map(|body| Body::new(RequestBody::new(body, &exchange)));
    stack.oneshot(request).map(move |answered| {
        answered.map(|response| response.map(|body| ResponseBody::new(body, exchange)))
    })
}
