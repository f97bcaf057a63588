//! What the routes work with.

use std::{fmt, sync::Arc, time::Duration};

use crate::delivery::{Delivery, DeliveryOptions, Jitter, LoggingClient};
use http::Uri;
use oncelog::{
    grpc::endpoint,
    limits,
    message::{ContentType, IdSource, Message, MessageId, StreamName},
    wire::v1::{
        logging_service_client::LoggingServiceClient,
        messages_service_client::MessagesServiceClient,
    },
};
use tokio::sync::Semaphore;
use tonic::transport::{Channel, Endpoint};

use crate::{EdgeLimits, settings::Settings};

/// The ways to the other services, and how long an answer may take.
#[derive(Clone)]
pub struct Upstreams {
    /// Stores messages.
    pub delivery: Delivery,
    /// To the logging service, for short calls.
    pub logging: Channel,
    /// To the logging service, for reads of the log. Kept apart, so that clients that read slowly
    /// hold up nobody who stores.
    pub reads: Channel,
    /// To the messages service.
    pub messages: Channel,
    /// How long a short call may take.
    pub call_timeout: Duration,
    /// How long a read of the log may pause.
    pub read_timeout: Duration,
}

impl Upstreams {
    /// Prepares the ways that `settings` name, within a Tokio runtime. Nothing is connected before
    /// it is used, so the services may start in any order.
    pub fn connect(settings: &Settings) -> Self {
        Self::connect_with(settings, Jitter::default(), |endpoint| endpoint.connect_lazy())
    }

    /// The same with delays from `jitter`, over the channels that `connect` makes of endpoints: for a
    /// simulation, which has a network of its own.
    pub fn connect_with(
        settings: &Settings,
        jitter: Jitter,
        connect: impl Fn(Endpoint) -> Channel,
    ) -> Self {
        let to = |url: &Uri| connect(endpoint(url.clone()));
        let logging = to(&settings.logging_url);
        let options = DeliveryOptions {
            attempt_timeout: settings.attempt_timeout,
            total_timeout: settings.total_timeout,
            jitter,
            ..DeliveryOptions::default()
        };
        Self {
            delivery: Delivery::start(LoggingClient::new(logging.clone()), options),
            logging,
            reads: connect(read_endpoint(settings)),
            messages: to(&settings.messages_url),
            call_timeout: settings.attempt_timeout,
            read_timeout: settings.total_timeout,
        }
    }
}

fn read_endpoint(settings: &Settings) -> Endpoint {
    // The connection's window has room for every read: one that is not taken must not starve another.
    endpoint(settings.logging_url.clone())
        .initial_stream_window_size(limits::READ_WINDOW_BYTES)
        .initial_connection_window_size(limits::READ_WINDOW_BYTES * limits::HTTP2_STREAMS_MAX)
}

/// What else a facade is made of.
#[derive(Clone)]
pub struct Options {
    /// Where ids come from for messages without an `Idempotency-Key`.
    pub ids: Arc<dyn IdSource>,
    /// Limits of connections and of what arrives on them.
    pub limits: EdgeLimits,
    /// Whether large pieces of the log are turned into JSON on threads beside the tasks of the runtime. A
    /// simulation does it in place: a run that waits for threads does not follow from its seed.
    pub render_beside: bool,
}

impl Options {
    /// The limits of [`oncelog::limits`], and `ids`.
    pub fn new(ids: Arc<dyn IdSource>) -> Self {
        Self { ids, limits: EdgeLimits::default(), render_beside: true }
    }
}

/// A facade. Clones are the same facade.
#[derive(Clone)]
pub struct Facade(Arc<Inner>);

struct Inner {
    upstreams: Upstreams,
    options: Options,
    uploads: Uploads,
    bodies: Arc<Semaphore>,
    listings: Arc<Semaphore>,
    renders: Semaphore,
}

/// Room for the lines of all batch uploads together.
pub(crate) struct Uploads {
    /// One permit a message.
    pub(crate) messages: Arc<Semaphore>,
    /// One permit a byte.
    pub(crate) bytes: Arc<Semaphore>,
}

impl Facade {
    /// A facade over `upstreams`.
    pub fn new(upstreams: Upstreams, options: Options) -> Self {
        let uploads = Uploads {
            messages: Arc::new(Semaphore::new(limits::UPLOADS_MESSAGES_MAX)),
            bytes: Arc::new(Semaphore::new(limits::UPLOADS_BYTES_MAX)),
        };
        let bodies = Arc::new(Semaphore::new(limits::BODIES_BYTES_MAX));
        let listings = Arc::new(Semaphore::new(limits::LISTINGS_MAX));
        let renders = Semaphore::new(limits::RENDERED_AT_ONCE_MAX);
        Self(Arc::new(Inner { upstreams, options, uploads, bodies, listings, renders }))
    }

    pub(crate) fn limits(&self) -> &EdgeLimits {
        &self.0.options.limits
    }

    pub(crate) fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    /// Room for bodies that arrive in more than one piece: one permit a byte.
    pub(crate) fn bodies(&self) -> &Arc<Semaphore> {
        &self.0.bodies
    }

    /// Room for answers that list the log: one permit each.
    pub(crate) fn listings(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.listings)
    }

    /// Turns for making large pieces of such answers beside the tasks of the runtime: one permit each.
    /// None if they are made in place.
    pub(crate) fn renders(&self) -> Option<&Semaphore> {
        self.0.options.render_beside.then_some(&self.0.renders)
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        &self.0.upstreams.delivery
    }

    pub(crate) fn next_id(&self) -> MessageId {
        self.0.options.ids.next_id()
    }

    pub(crate) fn logging(&self) -> LoggingServiceClient<Channel> {
        LoggingServiceClient::new(self.0.upstreams.logging.clone())
    }

    pub(crate) fn reads(&self) -> LoggingServiceClient<Channel> {
        LoggingServiceClient::new(self.0.upstreams.reads.clone())
    }

    pub(crate) fn messages(&self) -> MessagesServiceClient<Channel> {
        MessagesServiceClient::new(self.0.upstreams.messages.clone())
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        self.0.upstreams.call_timeout
    }

    pub(crate) fn read_timeout(&self) -> Duration {
        self.0.upstreams.read_timeout
    }
}

impl fmt::Debug for Facade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facade").finish_non_exhaustive()
    }
}

/// A message of the facade's stream: text, as `msg` was.
pub(crate) fn text_message(id: MessageId, body: bytes::Bytes) -> Message {
    Message { id, stream: StreamName::facade(), content_type: ContentType::text(), body }
}
