//! The log on the wire: checks what arrives, and says in gRPC what the log said.

mod append;
mod read;
mod status;

use std::sync::Arc;

use oncelog::{
    limits::GRPC_MESSAGE_BYTES_MAX,
    wire::{
        surely_not_stored,
        v1::{
            AppendRequest, AppendResponse, LookupRequest, LookupResponse, ReadRequest,
            StatusRequest, StatusResponse,
            logging_service_server::{LoggingService, LoggingServiceServer},
        },
    },
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{limits::Limits, log::Log, readiness::Readiness, settings::StoreKind};

/// The service on the wire. Until the log is open every call is answered with `UNAVAILABLE`.
#[derive(Clone)]
pub(crate) struct Grpc {
    readiness: Arc<Readiness>,
    store: StoreKind,
    limits: Limits,
    /// Ends streams that would otherwise never end.
    stop: CancellationToken,
    /// One permit a read that ends.
    reads: Arc<Semaphore>,
    /// One permit a read that follows.
    followers: Arc<Semaphore>,
}

/// The service with its limits.
pub(crate) fn server(grpc: Grpc) -> LoggingServiceServer<Grpc> {
    LoggingServiceServer::new(grpc)
        .max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX)
        // A chunk of a read stream ends with one message over its limit at most.
        .max_encoding_message_size(GRPC_MESSAGE_BYTES_MAX)
}

impl Grpc {
    /// Serves the log of `readiness`, which is kept in `store`. `stop` ends streams.
    pub(crate) fn new(
        readiness: Arc<Readiness>,
        store: StoreKind,
        limits: Limits,
        stop: CancellationToken,
    ) -> Self {
        let reads = Arc::new(Semaphore::new(limits.reads));
        let followers = Arc::new(Semaphore::new(limits.followers));
        Self { readiness, store, limits, stop, reads, followers }
    }

    /// The log, once it is open.
    fn log(&self) -> Result<&Log, Status> {
        self.readiness.log().ok_or_else(|| {
            surely_not_stored(Status::unavailable(
                "the log is being read and checked after a start; nothing was stored, repeat the call",
            ))
        })
    }
}

#[tonic::async_trait]
impl LoggingService for Grpc {
    async fn append(
        &self,
        request: Request<AppendRequest>,
    ) -> Result<Response<AppendResponse>, Status> {
        append::append(self.log()?, request.into_inner()).await.map(Response::new)
    }

    type ReadStream = read::Responses;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        self.open_read(request.into_inner()).map(Response::new)
    }

    async fn lookup(
        &self,
        request: Request<LookupRequest>,
    ) -> Result<Response<LookupResponse>, Status> {
        self.find(request.into_inner()).await.map(Response::new)
    }

    async fn status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let (state, reason) = self.readiness.state();
        Ok(Response::new(StatusResponse {
            state: state.into(),
            reason,
            last_sequence: self.readiness.log().map_or(0, Log::last_sequence),
            store: self.store.to_string(),
            durable: self.store.is_durable(),
        }))
    }
}
