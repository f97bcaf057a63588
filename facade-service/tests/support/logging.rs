//! A logging service in memory that does what a test tells it.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::{Stream, StreamExt as _, stream};
use oncelog::{
    message::{
        AfterTheEnd, ContentType, Message, MessageId, Outcome, Receipt, Rejection, StoredMessage,
        StreamName,
    },
    wire::v1::{
        self,
        logging_service_server::{LoggingService, LoggingServiceServer},
    },
};
use tokio::sync::watch;
use tonic::{Request, Response, Status, transport::Server};

#[derive(Clone, Default)]
pub(crate) struct FakeLogging {
    log: Arc<Mutex<Vec<StoredMessage>>>,
    appends: watch::Sender<Appends>,
    reads: watch::Sender<Reads>,
    status: Arc<Mutex<v1::StatusResponse>>,
    waiting: Arc<AtomicUsize>,
}

#[derive(Clone, Default, PartialEq)]
pub(crate) enum Appends {
    #[default]
    Store,
    Reject(Rejection),
    /// Takes the call and does not answer before it is told something else.
    Stall,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Reads {
    #[default]
    Serve,
    /// Fails after as many chunks.
    Fail(usize),
    /// Goes silent after as many chunks, for good.
    Stall(usize),
}

const CHUNK_MESSAGES: usize = 10;

impl FakeLogging {
    pub(crate) fn on_append(&self, appends: Appends) {
        self.appends.send_replace(appends);
    }

    pub(crate) fn on_read(&self, reads: Reads) {
        self.reads.send_replace(reads);
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, v1::StatusResponse> {
        self.status.lock().unwrap()
    }

    /// Appends that have arrived and not been answered.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// What is stored, as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text =
            |record: &StoredMessage| String::from_utf8_lossy(&record.message.body).into_owned();
        self.log.lock().unwrap().iter().map(text).collect()
    }

    /// What is stored.
    pub(crate) fn records(&self) -> Vec<StoredMessage> {
        self.log.lock().unwrap().clone()
    }

    /// Stores a message of any stream and body, past the facade.
    pub(crate) fn store(&self, stream: &str, body: &[u8]) -> MessageId {
        let mut log = self.log.lock().unwrap();
        let id = MessageId::try_from((log.len() as u128 + 1).to_be_bytes()).unwrap();
        let message = Message {
            id,
            stream: stream.parse().unwrap(),
            content_type: ContentType::text(),
            body: body.to_vec().into(),
        };
        let _ = append(&mut log, message);
        id
    }

    /// Stores `count` of these in the stream `facade`.
    pub(crate) fn store_many(&self, count: usize, body: &[u8]) {
        for _ in 0..count {
            self.store("facade", body);
        }
    }

    /// Serves it, as a log that is ready.
    pub(crate) async fn serve(&self) -> SocketAddr {
        self.status().set_state(v1::State::Ready);
        self.status().store = "fake".to_owned();
        let service = LoggingServiceServer::new(self.clone());
        super::serve_grpc(Server::builder().add_service(service)).await
    }
}

fn append(log: &mut Vec<StoredMessage>, message: Message) -> Outcome {
    match log.iter().find(|record| record.message.id == message.id) {
        Some(record) if record.message == message => Outcome::Duplicate(record.receipt),
        Some(_) => Outcome::Conflict,
        None => {
            let sequence = log.len() as u64 + 1;
            let stored_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
            let receipt = Receipt { sequence, stored_at };
            log.push(StoredMessage { receipt, message });
            Outcome::Stored(receipt)
        }
    }
}

#[tonic::async_trait]
impl LoggingService for FakeLogging {
    async fn append(
        &self,
        request: Request<v1::AppendRequest>,
    ) -> Result<Response<v1::AppendResponse>, Status> {
        let mut appends = self.appends.subscribe();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let now = appends.wait_for(|now| *now != Appends::Stall).await.unwrap().clone();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let mut log = self.log.lock().unwrap();
        let receipts = request.into_inner().messages.into_iter().map(|message| {
            let id = message.id.clone();
            let outcome = match &now {
                Appends::Store | Appends::Stall => append(&mut log, message.try_into().unwrap()),
                Appends::Reject(rejection) => Outcome::Rejected(rejection.clone()),
            };
            outcome.into_receipt(id)
        });
        Ok(Response::new(v1::AppendResponse { receipts: receipts.collect() }))
    }

    type ReadStream = Pin<Box<dyn Stream<Item = Result<v1::ReadResponse, Status>> + Send>>;

    async fn read(
        &self,
        request: Request<v1::ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let request = request.into_inner();
        assert_eq!(request.stream, StreamName::facade().as_str());
        let last_sequence = self.records().len() as u64;
        if request.after > last_sequence {
            return Err(AfterTheEnd { after: request.after, last_sequence }.into());
        }
        let limit = if request.limit == 0 { usize::MAX } else { request.limit as usize };
        let records: Vec<v1::StoredMessage> = self
            .records()
            .into_iter()
            .filter(|record| record.message.stream.as_str() == request.stream)
            .filter(|record| record.receipt.sequence > request.after)
            .take(limit)
            .map(Into::into)
            .collect();
        let chunks = stream::iter(records).chunks(CHUNK_MESSAGES);
        let chunks = chunks.map(|chunk| Ok(v1::ReadResponse::new(chunk)));
        let reads = *self.reads.borrow();
        Ok(Response::new(match reads {
            Reads::Serve => chunks.boxed(),
            Reads::Fail(after) => {
                let failure = Status::internal("the fake was told to fail");
                chunks.take(after).chain(stream::iter([Err(failure)])).boxed()
            }
            Reads::Stall(after) => chunks.take(after).chain(stream::pending()).boxed(),
        }))
    }

    async fn lookup(
        &self,
        request: Request<v1::LookupRequest>,
    ) -> Result<Response<v1::LookupResponse>, Status> {
        let id = MessageId::try_from(&request.into_inner().id[..]).unwrap();
        let found = self.records().into_iter().find(|record| record.message.id == id);
        let record = found.ok_or_else(|| Status::not_found("no such record"))?;
        Ok(Response::new(v1::LookupResponse { message: Some(record.into()) }))
    }

    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(self.status.lock().unwrap().clone()))
    }
}
