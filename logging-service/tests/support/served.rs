//! The service over real sockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use logging_service::{
    Execution, OpenStore, Parts, ServeError,
    console::Console,
    limits::Limits,
    open_journal, serve_incoming,
    settings::StoreKind,
    store::journal::{Options, disk::SimulatedDisk},
};
use oncelog::{
    net::incoming,
    wire::v1::{
        AppendRequest, AppendResponse, Outcome, Receipt, StatusRequest,
        logging_service_client::LoggingServiceClient,
    },
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::clock;

pub type Client = LoggingServiceClient<Channel>;

/// A service whose store is opened by `open`.
pub fn parts(limits: Limits, open: impl FnOnce() -> OpenStore + Send + 'static) -> Parts {
    Parts {
        clock: clock(),
        execution: Execution::Threads,
        limits,
        console: Console::off(),
        store: StoreKind::Memory,
        open: Box::new(|| Ok(open())),
    }
}

/// A service that is up.
pub struct Served {
    pub addr: SocketAddr,
    pub stop: CancellationToken,
    pub ready: oneshot::Receiver<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    /// Starts a service, which may not be ready yet.
    pub async fn begin(parts: Parts) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (is_ready, ready) = oneshot::channel();
        let tell = move || is_ready.send(()).unwrap_or_default();
        let serving = tokio::spawn(serve_incoming(incoming(listener), parts, stop.clone(), tell));
        Self { addr, stop, ready, serving }
    }

    /// Starts a service, and waits until it is ready.
    pub async fn start(parts: Parts) -> Self {
        let mut served = Self::begin(parts).await;
        (&mut served.ready).await.unwrap();
        served
    }

    /// Starts a service with the journal on `disk`, and waits until it is ready.
    pub async fn on(disk: &SimulatedDisk) -> Self {
        let disk = Arc::new(disk.clone());
        let options = Options { segment_bytes: 256 * 1024, ..Options::default() };
        let open = move || open_journal(disk, options).unwrap();
        let parts = Parts { store: StoreKind::Journal, ..parts(Limits::default(), open) };
        Self::start(parts).await
    }

    /// A connection of its own.
    pub async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.addr)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// A client on a connection of its own.
    pub async fn client(&self) -> Client {
        LoggingServiceClient::new(self.channel().await)
    }

    /// Sequence of the last durable message.
    pub async fn last_sequence(&self) -> u64 {
        let status = self.client().await.status(StatusRequest {}).await.unwrap();
        status.into_inner().last_sequence
    }

    /// How it ends, which is soon.
    pub async fn ended(self) -> Result<(), ServeError> {
        timeout(Duration::from_secs(30), self.serving).await.unwrap().unwrap()
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.ended().await.unwrap();
    }
}

/// Sends one call, and takes what it says about each message: the outcome and the sequence.
pub async fn append(client: &Client, request: AppendRequest) -> Vec<(Outcome, u64)> {
    let AppendResponse { receipts } = client.clone().append(request).await.unwrap().into_inner();
    receipts.iter().map(|receipt: &Receipt| (receipt.outcome(), receipt.sequence)).collect()
}
