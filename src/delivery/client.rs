//! The logging service as a `tower::Service`.

use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tonic::{Status, transport::Channel};
use tower::Service;

use crate::{
    limits,
    wire::v1::{AppendRequest, AppendResponse, logging_service_client::LoggingServiceClient},
};

/// Appends to the logging service over gRPC: one call, one attempt. What
/// [`Delivery::start`](super::Delivery::start) takes in production.
#[derive(Debug, Clone)]
pub struct LoggingClient(LoggingServiceClient<Channel>);

impl LoggingClient {
    /// A client on `channel`.
    pub fn new(channel: Channel) -> Self {
        let client = LoggingServiceClient::new(channel)
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
