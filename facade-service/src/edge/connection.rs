//! One connection.

use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use axum::{body::Body, response::Response};
use futures_util::{
    FutureExt as _,
    future::{Either, ready},
};
use http::{
    HeaderValue, Request, StatusCode, Version,
    header::{DATE, EXPECT},
};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use oncelog::net::LongLived;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    EdgeLimits,
    activity::Activity,
    body::{RequestBody, ResponseBody},
    framed::Framed,
    guard::ClientIo,
    unread::settle,
};
use crate::http::{date, service::HttpService};

/// How long a long-lived response or an upgraded connection may take to end once it is told to.
const LONG_LIVED_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What ends connections when the service stops.
#[derive(Clone)]
pub(super) struct Shutdown {
    /// Requests under way are finished, and no more are taken.
    pub(super) stop: CancellationToken,
    /// After [`Shutdown::stop`]: whatever is still open is closed by force.
    pub(super) abort: CancellationToken,
}

/// Serves the requests of a connection with `stack`, one after the other, until the client leaves, a
/// limit is reached, it is evicted, `shutdown.stop` finds it idle, or `shutdown.abort` ends it. An upgraded
/// connection is served until its IO is dropped.
///
/// A response that breaks off ends in a reset: where only the end of the connection ends a response
/// (HTTP/1.0), nothing else tells it from a whole one.
pub(super) fn serve<IO, S: HttpService>(
    io: ClientIo<IO>,
    activity: Arc<Activity>,
    stack: S,
    limits: &EdgeLimits,
    shutdown: Shutdown,
) -> impl Future<Output = ()> + Send + use<IO, S>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answering = Arc::clone(&activity);
    let body_limit = limits.body_read;
    let service = service_fn(move |request| {
        track(stack.clone(), request, Arc::clone(&answering), body_limit)
    });
    let framed = Framed::new(io, Arc::clone(&activity), limits.header_bytes);
    let connection = http1::Builder::new()
        // The end of the input says "no more requests", not "gone".
        .half_close(true)
        // For refusals of the library, of heads that it cannot parse.
        .auto_date_header(date::now().is_some())
        .max_buf_size(limits.header_bytes)
        .serve_connection(TokioIo::new(framed), service)
        .with_upgrades();
    let header_read = limits.header_read;
    async move {
        {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                biased;
                ended = connection.as_mut() => Some(ended),
                // It bounds the opening, the first byte and idle connections too.
                () = activity.head_overdue(header_read) => {
                    connection.as_mut().graceful_shutdown();
                    connection.now_or_never()
                }
                () = activity.slot.close_signal().sent() => {
                    let is_long_lived = activity.close_long_lived();
                    connection.as_mut().graceful_shutdown();
                    if is_long_lived {
                        let ending = shutdown.abort.run_until_cancelled(connection);
                        timeout(LONG_LIVED_CLOSE_TIMEOUT, ending).await.ok().flatten()
                    } else if shutdown.stop.is_cancelled() || activity.slot.is_busy() {
                        // Or it got a request after it was chosen.
                        tokio::select! {
                            biased;
                            ended = shutdown.abort.run_until_cancelled(connection) => ended,
                            // A long-lived response that begins after the close signal has no more time.
                            () = activity.late_long_lived() => None,
                        }
                    } else {
                        // An idle one closes in good order now, and any other breaks off.
                        connection.now_or_never()
                    }
                }
            };
            match ended {
                Some(Ok(())) => close_refused_upgrade(&activity, &shutdown).await,
                Some(Err(error)) => {
                    if error.is_incomplete_message() {
                        activity.head_broke_off();
                    }
                    tracing::debug!("a connection ended early: {error}");
                }
                None => {}
            }
        }
        if activity.is_upgraded() {
            upgraded(&activity, &shutdown).await;
        }
    }
}

/// Holds the slot of an upgraded connection, whose IO is in another task, until that is dropped. When the
/// connection is to close, the task is told, and after a while its IO fails.
async fn upgraded(activity: &Activity, shutdown: &Shutdown) {
    tokio::select! {
        biased;
        () = activity.io_dropped.sent() => return,
        () = activity.slot.close_signal().sent() => {}
    }
    activity.close_long_lived();
    let dropped = shutdown.abort.run_until_cancelled(activity.io_dropped.sent());
    let _ = timeout(LONG_LIVED_CLOSE_TIMEOUT, dropped).await;
    activity.abort_io();
}

/// Closes in good order a connection whose client offered an upgrade that was refused: the HTTP library
/// hands it over as if it were upgraded, and does not close it.
async fn close_refused_upgrade(activity: &Activity, shutdown: &Shutdown) {
    let Some(upgrade) = activity.refused_upgrade() else { return };
    let closing = async {
        if let Ok(io) = upgrade.await {
            // A client that left needs no good order.
            let _ = TokioIo::new(io).shutdown().await;
        }
    };
    let hurried = async {
        activity.slot.close_signal().sent().await;
        if shutdown.stop.is_cancelled() {
            shutdown.abort.cancelled().await;
        }
    };
    tokio::select! {
        biased;
        () = closing => {}
        () = hurried => {}
    }
}

/// Answers `request`, and tracks what becomes of both bodies. What the stack leaves of the request's body
/// may take `body_limit` to arrive.
fn track(
    mut stack: impl HttpService,
    request: Request<Incoming>,
    activity: Arc<Activity>,
    body_limit: Duration,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + Send {
    if let Some(upgrade) = request.extensions().get::<OnUpgrade>() {
        activity.upgrade_offered(upgrade.clone());
    }
    let expects_continue = expects_continue(&request);
    let request =
        request.map(|body| Body::new(RequestBody::new(body, expects_continue, &activity)));
    let polled = stack.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready(), "a layer answers with a refusal, it never makes a request wait");
    // Combinators, since an async block would copy the future of each request once more.
    stack.call(request).then(move |Ok(response)| match activity.rest_of_body.take() {
        None => Either::Left(ready(Ok(begin(response, activity)))),
        // It is boxed because few requests come here.
        Some(rest) => Either::Right(Box::pin(async move {
            let response = settle(rest, response, &activity, body_limit).await;
            Ok(begin(response, activity))
        })),
    })
}

/// Whether the client sends no body before it gets a `100 Continue`. The HTTP library sends one as soon as
/// the body is read, and takes this value in HTTP/1.1 only.
fn expects_continue(request: &Request<Incoming>) -> bool {
    let is_asked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    !request.body().is_end_stream()
        && request.version() == Version::HTTP_11
        && request.headers().get(EXPECT).is_some_and(is_asked)
}

/// The response as it is sent.
fn begin(mut response: Response, activity: Arc<Activity>) -> Response<ResponseBody> {
    if let Some(date) = date::now() {
        response.headers_mut().insert(DATE, date);
    }
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let mut is_long_lived = false;
    if let Some(admitted) = response.extensions_mut().remove::<LongLived>() {
        is_long_lived = !is_upgrade;
        activity.begin_long_lived(admitted, is_upgrade);
    }
    if let Some(list) = response.extensions_mut().remove() {
        activity.begin_list(list);
    }
    response.map(|body| ResponseBody::new(body, activity, is_long_lived))
}
