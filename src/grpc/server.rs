//! A gRPC server with limits, reflection and a bounded drain.

use std::{
    error::Error,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Stream, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::{
    Server,
    server::{Connected, Router},
};
use tonic_reflection::server::Builder;

use super::{BodyBudget, Health};
use crate::{
    limits,
    net::{ConnectionIo, DRAIN_TIMEOUT, Guard},
    wire,
};

/// Header bytes of one HTTP/2 request.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;

/// A question to the reflection service, encoded: the name of a file or of a symbol. Without it a
/// client could leave as much in memory as there are calls times 4 MiB, for as long as it likes.
const REFLECTION_QUESTION_BYTES_MAX: usize = 1024;

/// A server builder with limits on streams and headers, and keepalive.
pub fn grpc_server() -> Server {
    Server::builder()
        .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .http2_keepalive_interval(Some(limits::KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(limits::KEEPALIVE_TIMEOUT))
        .tcp_nodelay(true)
}

/// Serves `router` until `stop`, then accepts no more connections and lets calls under way finish. What is
/// still open after [`DRAIN_TIMEOUT`] is closed by force. It returns once the server has ended; dropping
/// the future closes all connections by force.
///
/// # Errors
/// The server could not be set up.
pub async fn serve_grpc<I, IO, IE>(
    router: Router,
    incoming: I,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error>
where
    I: Stream<Item = Result<IO, IE>>,
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    IE: Into<Box<dyn Error + Send + Sync>>,
{
    let abort = CancellationToken::new();
    let abort_on_return = abort.clone().drop_guard();
    let incoming = incoming
        .map_ok(move |io| ConnectionIo::open(io, Abort(Box::pin(abort.clone().cancelled_owned()))));
    let serving = router.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    let result = tokio::select! {
        // A fixed order, so that a simulation repeats itself.
        biased;
        result = serving => result,
        () = drained => {
            tracing::warn!("connections still open after {:?} are closed by force", DRAIN_TIMEOUT);
            Ok(())
        }
    };
    drop(abort_on_return);
    result
}

/// Closes a connection when a token is cancelled: from then on every read fails. A server runs each
/// connection in a task of its own, which ending the server does not end.
struct Abort(Pin<Box<WaitForCancellationFutureOwned>>);

impl<IO> Guard<IO> for Abort {
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.0.as_mut().poll(cx).map(|()| io::ErrorKind::ConnectionAborted.into())
    }
}

/// Adds what every gRPC server offers beside its own services: health, and reflection, so that any
/// gRPC client can explore it. Reflection lists what this server serves, in both versions of the
/// protocol that are in use. Requests for health share `budget`; reflection is asked in streams, and
/// bounds each question.
///
/// # Errors
/// [`BrokenContract`].
pub fn add_standard_services(
    router: Router,
    health: &Health,
    budget: &BodyBudget,
) -> Result<Router, BrokenContract> {
    Ok(router
        .add_service(budget.guard(health.service()))
        .add_service(
            descriptors(health)
                .with_service_name("grpc.reflection.v1.ServerReflection")
                .build_v1()?
                .max_decoding_message_size(REFLECTION_QUESTION_BYTES_MAX),
        )
        .add_service(
            descriptors(health)
                .with_service_name("grpc.reflection.v1alpha.ServerReflection")
                .build_v1alpha()?
                .max_decoding_message_size(REFLECTION_QUESTION_BYTES_MAX),
        ))
}

fn descriptors(health: &Health) -> Builder<'static> {
    let builder = Builder::configure()
        .register_encoded_file_descriptor_set(wire::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("grpc.health.v1.Health");
    // The contract describes the services of all servers; this server has only these.
    health.names().iter().fold(builder, |builder, name| builder.with_service_name(*name))
}

/// The descriptors in this binary cannot be read, so the build is broken.
#[derive(Debug, thiserror::Error)]
#[error("the description of the contract cannot be read, build again: {0}")]
pub struct BrokenContract(#[from] tonic_reflection::server::Error);
