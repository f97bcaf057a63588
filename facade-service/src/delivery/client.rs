//! The logging service as a `tower::Service`.

use std::task::{Context, Poll};

use futures_util::{FutureExt as _, future::BoxFuture};
use http_body_util::{BodyExt as _, Full};
use tonic::{Status, body::Body, transport::Channel};
use tower::{BoxError, Service};

use oncelog::{
    limits,
    wire::v1::{AppendRequest, AppendResponse, logging_service_client::LoggingServiceClient},
};

/// Appends to the logging service over gRPC: one call, one attempt. What
/// [`Delivery::start`](super::Delivery::start) takes in production.
#[derive(Debug, Clone)]
pub struct LoggingClient(LoggingServiceClient<BufferedBody>);

impl LoggingClient {
    /// A client on `channel`.
    pub fn new(channel: Channel) -> Self {
        let client = LoggingServiceClient::new(BufferedBody(channel))
            .max_encoding_message_size(limits::GRPC_MESSAGE_BYTES_MAX)
            .max_decoding_message_size(limits::GRPC_MESSAGE_BYTES_MAX);
        Self(client)
    }
}

impl Service<AppendRequest> for LoggingClient {
    type Response = AppendResponse;
    type Error = Status;
    type Future = BoxFuture<'static, Result<AppendResponse, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // The call waits for the channel itself, where the attempt's timeout covers it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: AppendRequest) -> Self::Future {
        let mut client = self.0.clone();
        Box::pin(async move { Ok(client.append(request).await?.into_inner()) })
    }
}

/// Buffers the body of a request and sends it in one frame, which says by itself that it is the last.
/// tonic's own body says so in another frame, for which the peer may have to wake up once more.
#[derive(Debug, Clone)]
struct BufferedBody(Channel);

impl Service<http::Request<Body>> for BufferedBody {
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<http::Response<Body>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (head, body) = request.into_parts();
        let ready = self.0.clone();
        let mut channel = std::mem::replace(&mut self.0, ready);
        async move {
            let body = Body::new(Full::new(body.collect().await?.to_bytes()));
            Ok(channel.call(http::Request::from_parts(head, body)).await?)
        }
        .boxed()
    }
}
