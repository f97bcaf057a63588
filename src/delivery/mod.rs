//! Brings a message to the logging service: the only place that retries.

use crate::message::Place;

/// A message is stored, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Where.
    pub place: Place,
    /// Whether it surely was stored before this delivery began. A duplicate found after an attempt
    /// whose answer was lost may be our own, and does not count.
    pub replayed: bool,
}

/// Why [`Delivery::append`] did not end with a stored message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The id is in use by a different message. Nothing was stored.
    #[error("this id is in use by a different message; nothing was stored")]
    Conflict,
    /// The logging service refuses the message for what it is. Nothing was stored.
    #[error("the message is refused: {0}")]
    Invalid(String),
    /// Surely not stored, now or later: no attempt can have been taken.
    #[error("not stored: {0}")]
    NotStored(String),
    /// An attempt was sent and no answer came in time. The message is stored once or not at all.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
}

// TEMPORARY: a stand-in without batches or retries, until the real delivery path is merged.
mod stand_in {
    use std::{
        sync::Arc,
        task::{Context, Poll},
        time::Duration,
    };

    use futures_util::{FutureExt as _, future::BoxFuture};
    use tonic::{
        Code, Status,
        transport::{Channel, Endpoint},
    };
    use tower::{Service, ServiceExt as _};

    use super::{Delivered, DeliveryError};
    use crate::{
        limits,
        message::{Message, Outcome},
        wire::v1,
    };

    /// Temporary.
    #[derive(Debug, Clone)]
    pub struct DeliveryOptions {
        /// Temporary.
        pub attempt_timeout: Duration,
        /// Temporary.
        pub total_timeout: Duration,
    }

    impl Default for DeliveryOptions {
        fn default() -> Self {
            Self { attempt_timeout: limits::ATTEMPT_TIMEOUT, total_timeout: limits::TOTAL_TIMEOUT }
        }
    }

    type Send1 = dyn Fn(v1::AppendRequest) -> BoxFuture<'static, Result<v1::AppendResponse, Status>>
        + Send
        + Sync;

    /// Temporary.
    #[derive(Clone)]
    pub struct Delivery {
        send: Arc<Send1>,
        options: DeliveryOptions,
    }

    impl Delivery {
        /// Temporary.
        pub fn start<S>(logging: S, options: DeliveryOptions) -> Self
        where
            S: Service<v1::AppendRequest, Response = v1::AppendResponse, Error = Status>
                + Clone
                + Send
                + Sync
                + 'static,
            S::Future: Send,
        {
            let send = Arc::new(move |request| logging.clone().oneshot(request).boxed());
            Self { send, options }
        }

        /// Temporary.
        ///
        /// # Errors
        /// Temporary.
        pub async fn append(&self, message: Message) -> Result<Delivered, DeliveryError> {
            let request = v1::AppendRequest { messages: vec![message.into()] };
            let call = (self.send)(request);
            let response = tokio::time::timeout(self.options.total_timeout, call)
                .await
                .map_err(|_| DeliveryError::Unknown("no answer in time".to_owned()))?
                .map_err(|status| match status.code() {
                    Code::Unavailable => DeliveryError::NotStored(status.message().to_owned()),
                    _ => DeliveryError::Unknown(status.message().to_owned()),
                })?;
            let receipt = response.receipts.into_iter().next().unwrap_or_default();
            match Outcome::try_from(receipt) {
                Ok(Outcome::Stored(place)) => Ok(Delivered { place, replayed: false }),
                Ok(Outcome::Duplicate(place)) => Ok(Delivered { place, replayed: true }),
                Ok(Outcome::Conflict) => Err(DeliveryError::Conflict),
                Ok(Outcome::Rejected(rejection)) => Err(match rejection {
                    crate::message::Rejection::Invalid(why) => DeliveryError::Invalid(why),
                    crate::message::Rejection::ReadOnly(why)
                    | crate::message::Rejection::Overloaded(why) => DeliveryError::NotStored(why),
                }),
                Err(error) => Err(DeliveryError::Unknown(error.to_string())),
            }
        }
    }

    /// Temporary.
    pub fn channel(url: http::Uri) -> Channel {
        Endpoint::from(url)
            .connect_timeout(limits::CONNECT_TIMEOUT)
            .http2_keep_alive_interval(limits::KEEPALIVE_INTERVAL)
            .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect_lazy()
    }

    /// Temporary.
    #[derive(Clone)]
    pub struct LoggingClient(v1::logging_service_client::LoggingServiceClient<Channel>);

    impl LoggingClient {
        /// Temporary.
        pub fn new(channel: Channel) -> Self {
            Self(v1::logging_service_client::LoggingServiceClient::new(channel))
        }
    }

    impl Service<v1::AppendRequest> for LoggingClient {
        type Response = v1::AppendResponse;
        type Error = Status;
        type Future = BoxFuture<'static, Result<v1::AppendResponse, Status>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: v1::AppendRequest) -> Self::Future {
            let mut client = self.0.clone();
            async move { Ok(client.append(request).await?.into_inner()) }.boxed()
        }
    }
}
pub use stand_in::{Delivery, DeliveryOptions, LoggingClient, channel};
