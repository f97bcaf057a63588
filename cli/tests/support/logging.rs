//! A stand-in for the logging service that only serves reads.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use futures_util::{Stream, StreamExt as _, stream};
use oncelog::{
    grpc,
    message::{AfterTheEnd, ContentType, Message, MessageId, Receipt, StoredMessage},
    net,
    wire::v1::{
        AppendRequest, AppendResponse, LookupRequest, LookupResponse, ReadRequest, ReadResponse,
        StatusRequest, StatusResponse,
        logging_service_server::{LoggingService, LoggingServiceServer},
    },
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// How a read that does not follow ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    InAnError,
}

/// How the next read goes.
pub(crate) enum Turn {
    /// It gets so many messages, and then this error.
    Breaks(usize, Status),
    /// It gets this error and nothing else.
    Refused(Status),
    /// It gets the whole log, whatever it asked for.
    FromTheStart,
}

/// How the next reads go; those after them go well.
pub(crate) type Turns = Arc<Mutex<VecDeque<Turn>>>;

struct Log {
    bodies: Vec<Vec<u8>>,
    end: End,
    turns: Turns,
    seen: Seen,
}

/// What was asked for.
pub(crate) type Seen = Arc<Mutex<Vec<ReadRequest>>>;

type Chunks = Pin<Box<dyn Stream<Item = Result<ReadResponse, Status>> + Send>>;

/// Serves a log of `bodies`, with sequences from 1; odd ones are in the stream `facade`, even ones
/// in `orders`.
pub(crate) async fn start(bodies: Vec<Vec<u8>>, end: End) -> String {
    start_with(Log { bodies, end, turns: Turns::default(), seen: Seen::default() }).await
}

/// The same, with first reads that go as `turns` say.
pub(crate) async fn start_in_turns(
    bodies: Vec<Vec<u8>>,
    turns: impl IntoIterator<Item = Turn>,
) -> (String, Seen) {
    let (turns, seen) = (Arc::new(Mutex::new(turns.into_iter().collect())), Seen::default());
    let url = start_with(Log { bodies, end: End::Well, turns, seen: Arc::clone(&seen) }).await;
    (url, seen)
}

async fn start_with(log: Log) -> String {
    let listener = net::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = grpc::grpc_server().add_service(LoggingServiceServer::new(log));
    let stop = CancellationToken::new();
    tokio::spawn(grpc::serve_grpc(router, net::incoming(listener), stop));
    url
}

fn stored(sequence: u64, body: &[u8]) -> StoredMessage {
    let stream = if sequence % 2 == 1 { "facade" } else { "orders" };
    StoredMessage {
        receipt: Receipt { sequence, stored_at: SystemTime::UNIX_EPOCH },
        message: Message {
            id: MessageId::try_from(u128::from(sequence).to_be_bytes()).unwrap(),
            stream: stream.parse().unwrap(),
            content_type: ContentType::text(),
            body: body.to_vec().into(),
        },
    }
}

#[tonic::async_trait]
impl LoggingService for Log {
    type ReadStream = Chunks;

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<Chunks>, Status> {
        let request = request.into_inner();
        self.seen.lock().unwrap().push(request.clone());
        let turn = self.turns.lock().unwrap().pop_front();
        let (shown_max, error) = match &turn {
            Some(Turn::Refused(status)) => return Err(status.clone()),
            Some(Turn::Breaks(messages, status)) => (*messages, Some(status.clone())),
            Some(Turn::FromTheStart) | None => (usize::MAX, None),
        };
        let after = if matches!(turn, Some(Turn::FromTheStart)) { 0 } else { request.after };
        if self.bodies.is_empty() {
            return Err(Status::unavailable("the log is being checked"));
        }
        let last_sequence = self.bodies.len() as u64;
        if after > last_sequence {
            return Err(AfterTheEnd { after, last_sequence }.into());
        }
        let limit = if request.limit == 0 { usize::MAX } else { request.limit as usize };
        let chunks: Vec<_> = (1..)
            .zip(&self.bodies)
            .map(|(sequence, body)| stored(sequence, body))
            .filter(|stored| stored.receipt.sequence > after)
            .filter(|stored| {
                request.stream.is_empty() || request.stream == stored.message.stream.as_str()
            })
            .take(limit.min(shown_max))
            .map(|stored| Ok(ReadResponse::new(vec![stored.into()])))
            .collect();
        let chunks = stream::iter(chunks);
        if let Some(error) = error {
            return Ok(Response::new(Box::pin(chunks.chain(stream::iter([Err(error)])))));
        }
        Ok(Response::new(match (request.follow, self.end) {
            (true, _) => Box::pin(chunks.chain(stream::pending())),
            (false, End::Well) => Box::pin(chunks),
            (false, End::InAnError) => {
                let error = Status::data_loss("segment 3 is damaged");
                Box::pin(chunks.chain(stream::iter([Err(error)])))
            }
        }))
    }

    async fn append(&self, _: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        Err(Status::unimplemented("reads only"))
    }

    async fn lookup(&self, _: Request<LookupRequest>) -> Result<Response<LookupResponse>, Status> {
        Err(Status::unimplemented("reads only"))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Err(Status::unimplemented("reads only"))
    }
}
