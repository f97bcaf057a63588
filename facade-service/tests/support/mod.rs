//! A facade on a port of its own, with services behind it that do what a test tells them.

pub(crate) mod client;
pub(crate) mod logging;
pub(crate) mod messages;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use facade_service::{
    EdgeLimits, Facade, Limits, Listener, Options, Upstreams, serve, settings::Settings,
};
use oncelog::message::{IdSource, RandomIds};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use self::{client::Client, logging::FakeLogging, messages::FakeMessages};

/// Nothing in these tests takes this long, unless it is broken.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);

/// Where the end of a message's time falls into an attempt, that one is not waited for and what became
/// of the message is unknown. With so many messages one is surely not stored.
pub(crate) const TRIES_UNTIL_SURE: usize = 20;

/// The head of a post, but for the length of its body.
pub(crate) const POST: &str = "POST /facade\ncontent-type: application/json";
pub(crate) const HELLO: &str = r#"{"msg":"hello"}"#;

/// The head of an upload, and of one that is sent in chunks.
pub(crate) const UPLOAD: &str = "POST /facade/batch\ncontent-type: application/x-ndjson";
pub(crate) const STREAMED: &str =
    "POST /facade/batch\ncontent-type: application/x-ndjson\ntransfer-encoding: chunked";

/// The facade and what is behind it.
pub(crate) struct World {
    pub(crate) addr: SocketAddr,
    pub(crate) logging: FakeLogging,
    pub(crate) messages: FakeMessages,
    pub(crate) stop: CancellationToken,
    pub(crate) facade: Facade,
    serving: JoinHandle<()>,
}

/// What a test may set before the start.
pub(crate) struct Plan {
    pub(crate) limits: Limits,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) logging_down: bool,
    /// Another service in place of the logging service.
    pub(crate) logging_at: Option<SocketAddr>,
    pub(crate) messages_down: bool,
    pub(crate) attempt_timeout: Duration,
    pub(crate) total_timeout: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            limits: Limits {
                edge: EdgeLimits { linger: Duration::from_millis(500), ..EdgeLimits::default() },
                ..Limits::default()
            },
            ids: Arc::new(RandomIds),
            logging_down: false,
            logging_at: None,
            messages_down: false,
            attempt_timeout: Duration::from_secs(2),
            total_timeout: Duration::from_secs(10),
        }
    }
}

impl Plan {
    /// A plan whose limits of connections are changed by `change`.
    pub(crate) fn limits(change: impl FnOnce(&mut EdgeLimits)) -> Self {
        let mut plan = Self::default();
        change(&mut plan.limits.edge);
        plan
    }

    /// Timeouts for tests that wait for one.
    pub(crate) fn short_timeouts() -> Self {
        Self {
            attempt_timeout: Duration::from_millis(100),
            total_timeout: Duration::from_millis(300),
            ..Self::default()
        }
    }

    pub(crate) async fn start(self) -> World {
        self.start_on(TcpListener::bind("127.0.0.1:0").await.unwrap()).await
    }

    pub(crate) async fn start_on(self, listener: impl Listener + 'static) -> World {
        let (logging, messages) = (FakeLogging::default(), FakeMessages::default());
        let logging_url = match self.logging_at {
            Some(other) => other,
            None if self.logging_down => nowhere().await,
            None => logging.serve().await,
        };
        let messages_url =
            if self.messages_down { nowhere().await } else { messages.serve().await };
        let addr = listener.addr().unwrap();
        let settings = Settings {
            listen: addr,
            logging_url: format!("http://{logging_url}").parse().unwrap(),
            messages_url: format!("http://{messages_url}").parse().unwrap(),
            attempt_timeout: self.attempt_timeout,
            total_timeout: self.total_timeout,
        };
        let options = Options { limits: self.limits, ..Options::new(self.ids) };
        let stop = CancellationToken::new();
        let facade = Facade::new(Upstreams::connect(&settings), options, stop.clone());
        let served = facade.clone();
        let serving = tokio::spawn(async move { serve(listener, served).await.unwrap() });
        World { addr, facade, logging, messages, stop, serving }
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Plan::default().start().await
    }

    /// A connection to the facade.
    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.addr).await
    }

    /// A connection on which `head` was sent.
    pub(crate) async fn begin(&self, head: &str) -> Client {
        let mut client = self.connect().await;
        client.head(head).await;
        client
    }

    /// A connection on which the head of a post was sent, with more header lines.
    pub(crate) async fn begin_post(&self, headers: &str) -> Client {
        self.begin(&format!("{POST}\n{headers}")).await
    }

    /// A connection on which a whole request was sent.
    pub(crate) async fn send(&self, head: &str, body: impl AsRef<[u8]>) -> Client {
        let mut client = self.connect().await;
        client.request(head, body).await;
        client
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn request(&self, head: &str, body: impl AsRef<[u8]>) -> client::Response {
        self.send(head, body).await.response().await
    }

    /// Posts `body` as JSON, with more header lines.
    pub(crate) async fn post(&self, headers: &str, body: impl AsRef<[u8]>) -> client::Response {
        self.request(&format!("{POST}\n{headers}"), body).await
    }

    /// Gets `path`, with more header lines.
    pub(crate) async fn get(&self, path: &str, headers: &str) -> client::Response {
        self.request(&format!("GET {path}\n{headers}"), "").await
    }

    /// Waits for [`serve`] to return.
    pub(crate) async fn stopped(self) {
        within(self.serving).await.unwrap();
    }
}

/// The result of `future`, which must not take long.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT_MAX, future).await.expect("this took too long")
}

/// Waits until `state` holds.
pub(crate) async fn until(what: &str, mut state: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !state().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(WAIT_MAX, holds).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Serves a gRPC service on a port of its own.
async fn serve_grpc(service: tonic::transport::server::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(service.serve_with_incoming(TcpListenerStream::new(listener)));
    addr
}

/// An address where no service listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
