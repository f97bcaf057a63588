//! One connection.

use std::{convert::Infallible, future::Future, panic::AssertUnwindSafe, pin::pin};

use axum::{
    Router,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::{EdgeLimits, io::ClientIo};
use crate::error::{Failure, RouteError};

/// Serves the requests of a connection, one after the other, until the client leaves, a limit is
/// reached, `stop` finds it idle, or `cut`, after `stop`, ends it whatever it does.
///
/// An answer that breaks off ends in a `reset`: where only the end of the connection ends an answer
/// (HTTP/1.0), nothing else tells it from a whole one.
pub(super) fn serve<IO>(
    io: IO,
    router: Router,
    limits: &EdgeLimits,
    reset: fn(&IO),
    stop: CancellationToken,
    cut: CancellationToken,
) -> impl Future<Output = ()> + Send + use<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(ClientIo::new(io, limits.response_stall, limits.linger, reset));
    let service = service_fn(move |request| answer(router.clone(), request));
    // This timer runs from the first moment of a connection, and again from the end of each answer,
    // until a head is complete: so it bounds the first byte and idle connections too.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_buf_size(limits.header_bytes)
        .serve_connection(io, service);
    async move {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => Some(ended),
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                cut.run_until_cancelled(connection).await
            }
        };
        if let Some(Err(error)) = ended {
            tracing::debug!("a connection ended early: {error}");
        }
    }
}

/// A panic ends its own request and no other.
async fn answer(mut router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    match AssertUnwindSafe(router.call(request)).catch_unwind().await {
        Ok(answered) => answered,
        Err(_) => {
            // The panic hook has told where.
            tracing::error!("a request handler panicked; its client got a 500");
            Ok(Failure::from(RouteError::Panicked).into_response())
        }
    }
}
