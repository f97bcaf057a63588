//! The service over real sockets, with a journal behind it.

use std::{net::SocketAddr, sync::Arc};

use logging_service::{
    Execution, Parts, console::Console, limits::Limits, open_journal, serve_incoming,
    settings::StoreKind, store::journal::Options,
};
use oncelog::{
    net::incoming,
    wire::v1::{
        AppendRequest, AppendResponse, Outcome, Receipt, StatusRequest,
        logging_service_client::LoggingServiceClient,
    },
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::{clock, gated_disk::GatedDisk};

pub type Client = LoggingServiceClient<Channel>;

/// A service that is up.
pub struct Served {
    pub addr: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Served {
    /// Starts a service with the journal on `disk`, and waits until it is ready.
    pub async fn start(disk: &GatedDisk) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let disk = disk.clone();
        let options = Options { segment_bytes: 256 * 1024, ..Options::default() };
        let parts = Parts {
            clock: clock(),
            execution: Execution::Threads,
            limits: Limits::default(),
            console: Console::off(),
            store: StoreKind::Journal,
            open: Box::new(move || Ok(open_journal(Arc::new(disk), options).unwrap())),
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let (is_ready, ready) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let tell = move || {
                let _ = is_ready.send(());
            };
            serve_incoming(incoming(listener), parts, stopped, tell).await.unwrap();
        });
        ready.await.unwrap();
        Self { addr, stop, serving }
    }

    /// A client on a connection of its own.
    pub async fn client(&self) -> Client {
        let channel = Channel::from_shared(format!("http://{}", self.addr)).unwrap();
        LoggingServiceClient::new(channel.connect().await.unwrap())
    }

    /// Sequence of the last durable message.
    pub async fn last_sequence(&self) -> u64 {
        let status = self.client().await.status(StatusRequest {}).await.unwrap();
        status.into_inner().last_sequence
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

/// Sends one call, and takes what it says about each message: the outcome and the sequence.
pub async fn append(mut client: Client, request: AppendRequest) -> Vec<(Outcome, u64)> {
    let AppendResponse { receipts } = client.append(request).await.unwrap().into_inner();
    receipts.iter().map(|receipt: &Receipt| (receipt.outcome(), receipt.sequence)).collect()
}
