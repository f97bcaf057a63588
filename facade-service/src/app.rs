//! The state that every handler works with.

use std::sync::Arc;

use http::Uri;
use oncelog::{
    grpc::endpoint,
    limits::HTTP2_STREAMS_MAX,
    message::{IdSource, MessageId},
    net::ConnectionLimiter,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::{
    Limits,
    delivery::{Delivery, DeliveryOptions, Jitter, LoggingClient},
    reads::{ENCODED_AT_ONCE_MAX, Lists, ReadUpstream},
    settings::Settings,
};

/// HTTP/2 window of one read of the log: what a client that stops reading leaves in memory.
const READ_WINDOW_BYTES: u32 = 256 * 1024;

/// The ways to the other services.
#[derive(Clone)]
pub struct Upstreams {
    /// Stores messages.
    pub delivery: Delivery,
    /// Reads the log and the text of the messages service.
    pub reads: ReadUpstream,
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
        let delivery = Delivery::start(LoggingClient::new(logging.clone()), options);
        let reads = ReadUpstream {
            logging,
            // The connection's window has room for every read: one that is not taken must not starve
            // another.
            log_reads: connect(
                endpoint(settings.logging_url.clone())
                    .initial_stream_window_size(READ_WINDOW_BYTES)
                    .initial_connection_window_size(READ_WINDOW_BYTES * HTTP2_STREAMS_MAX),
            ),
            messages: to(&settings.messages_url),
            call_timeout: settings.attempt_timeout,
            read_timeout: settings.total_timeout,
        };
        Self { delivery, reads }
    }
}

#[cfg(test)]
impl Upstreams {
    /// Ways to services that are not there, with short timeouts.
    pub(crate) fn unreachable() -> Self {
        let nowhere = || Uri::from_static("http://127.0.0.1:1");
        Self::connect(&Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            logging_url: nowhere(),
            messages_url: nowhere(),
            attempt_timeout: std::time::Duration::from_millis(100),
            total_timeout: std::time::Duration::from_millis(200),
        })
    }
}

/// What else a facade is made of.
#[derive(Clone)]
pub struct Options {
    /// Where ids come from for messages without an `Idempotency-Key`.
    pub ids: Arc<dyn IdSource>,
    /// What clients can fill.
    pub limits: Limits,
    /// Whether large pieces of the log are encoded on the blocking pool of the runtime. A simulation
    /// encodes them in place: a run that waits for threads does not follow from its seed.
    pub offload_encoding: bool,
}

impl Options {
    /// The default limits, and `ids`.
    pub fn new(ids: Arc<dyn IdSource>) -> Self {
        Self { ids, limits: Limits::default(), offload_encoding: true }
    }
}

/// A facade: the state of all handlers. Clones are the same facade.
#[derive(Clone)]
pub struct Facade(Arc<Inner>);

struct Inner {
    upstreams: Upstreams,
    options: Options,
    stop: CancellationToken,
    connections: ConnectionLimiter,
    upload_budget: UploadBudget,
    body_budget: Arc<Semaphore>,
    page_reads: Arc<Semaphore>,
    page_budget: Arc<Semaphore>,
    lists: Lists,
    encode_slots: Semaphore,
}

/// For the lines of all uploads together.
pub(crate) struct UploadBudget {
    /// One permit a message.
    pub(crate) messages: Arc<Semaphore>,
    /// One permit a byte.
    pub(crate) bytes: Arc<Semaphore>,
    /// One permit a byte of outcomes that wait for their clients.
    pub(crate) unread_bytes: Arc<Semaphore>,
}

impl Facade {
    /// A facade over `upstreams`. Once `stop` is cancelled it reports not ready, its uploads take no more
    /// lines, and [`serve`](crate::serve) drains its connections.
    ///
    /// # Panics
    /// The limits are not [valid](Limits::validate).
    pub fn new(upstreams: Upstreams, options: Options, stop: CancellationToken) -> Self {
        let limits = &options.limits;
        let valid = limits.validate();
        assert!(valid.is_ok(), "{valid:?}");
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let connections = ConnectionLimiter::new(limits.edge.connections, limits.edge.long_lived);
        Self(Arc::new(Inner {
            upload_budget: UploadBudget {
                messages: semaphore(limits.uploads.messages),
                bytes: semaphore(limits.uploads.bytes),
                unread_bytes: semaphore(limits.uploads.unread_bytes_of_all),
            },
            body_budget: semaphore(limits.bodies_bytes),
            page_reads: semaphore(limits.reads.pages),
            page_budget: semaphore(limits.reads.pages_bytes),
            lists: Lists::new(limits.reads.lists),
            encode_slots: Semaphore::new(ENCODED_AT_ONCE_MAX),
            upstreams,
            options,
            connections,
            stop,
        }))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.options.limits
    }

    /// Cancelled once the facade is to stop.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// The limiter of its connections: a handler asks it before it answers with a long-lived response.
    pub(crate) fn connections(&self) -> &ConnectionLimiter {
        &self.0.connections
    }

    pub(crate) fn upload_budget(&self) -> &UploadBudget {
        &self.0.upload_budget
    }

    /// For bodies that arrive in more than one piece: one permit a byte.
    pub(crate) fn body_budget(&self) -> &Arc<Semaphore> {
        &self.0.body_budget
    }

    /// One permit for each read whose first page is not there yet.
    pub(crate) fn page_reads(&self) -> &Semaphore {
        &self.0.page_reads
    }

    /// For pages that wait for their clients: one permit a byte.
    pub(crate) fn page_budget(&self) -> &Arc<Semaphore> {
        &self.0.page_budget
    }

    /// The places of lists that are longer than a page.
    pub(crate) fn lists(&self) -> &Lists {
        &self.0.lists
    }

    /// One permit for each piece of the log that is encoded on the blocking pool. None if pieces are
    /// encoded in place.
    pub(crate) fn encode_slots(&self) -> Option<&Semaphore> {
        self.0.options.offload_encoding.then_some(&self.0.encode_slots)
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        &self.0.upstreams.delivery
    }

    pub(crate) fn reads(&self) -> &ReadUpstream {
        &self.0.upstreams.reads
    }

    pub(crate) fn next_id(&self) -> MessageId {
        self.0.options.ids.next_id()
    }
}
