//! The log on the wire: checks what arrives, and says in gRPC what the log said.

use std::{pin::Pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use oncelog::{
    limits::{CALL_MESSAGES_MAX, FOLLOWERS_MAX, GRPC_MESSAGE_BYTES_MAX, READS_MAX},
    message::{Message, MessageId, Outcome, Rejection, StoredMessage, StreamName},
    wire::{
        STORED_TRAILER,
        v1::{
            self, AppendRequest, AppendResponse, LookupRequest, LookupResponse, ReadRequest,
            ReadResponse, StatusRequest, StatusResponse,
            logging_service_server::{LoggingService, LoggingServiceServer},
        },
    },
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    log::{AppendError, Log, ReadRange, State},
    readiness::Phase,
    settings::StoreKind,
    store::ReadError,
};

/// The service on the wire. Until the log is open every call is answered with `UNAVAILABLE`.
#[derive(Clone)]
pub(crate) struct Grpc {
    phase: Arc<Phase>,
    store: StoreKind,
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
    /// Serves the log of `phase`, which is kept in `store`. `stop` ends streams.
    pub(crate) fn new(phase: Arc<Phase>, store: StoreKind, stop: CancellationToken) -> Self {
        Self {
            phase,
            store,
            stop,
            reads: Arc::new(Semaphore::new(READS_MAX)),
            followers: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
        }
    }

    /// The log, once it is open.
    fn log(&self) -> Result<&Log, Status> {
        self.phase.log().ok_or_else(|| {
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
        let log = self.log()?;
        let messages = request.into_inner().messages;
        if messages.is_empty() || messages.len() > CALL_MESSAGES_MAX {
            return Err(surely_not_stored(Status::invalid_argument(format!(
                "a batch has 1 to {CALL_MESSAGES_MAX} messages, this one has {}; nothing was stored",
                messages.len()
            ))));
        }
        if *log.state().borrow() == State::Draining {
            return Err(append_status(AppendError::Draining));
        }
        let (ids, messages) = copied(messages);
        let mut valid = Vec::with_capacity(messages.len());
        let checked: Vec<Result<(), Rejection>> = messages
            .into_iter()
            .map(|message| checked_message(message).map(|message| valid.push(message)))
            .collect();
        let outcomes = if valid.is_empty() {
            Vec::new()
        } else {
            log.append(valid).await.map_err(append_status)?
        };
        let mut outcomes = outcomes.into_iter();
        let receipts = ids
            .into_iter()
            .zip(checked)
            .filter_map(|(id, checked)| {
                let outcome = match checked {
                    Ok(()) => outcomes.next(),
                    Err(rejection) => Some(Outcome::Rejected(rejection)),
                };
                outcome.map(|outcome| outcome.into_receipt(id))
            })
            .collect();
        Ok(Response::new(AppendResponse { receipts }))
    }

    type ReadStream = Pin<Box<dyn Stream<Item = Result<ReadResponse, Status>> + Send>>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let request = request.into_inner();
        let only = match request.stream {
            name if name.is_empty() => None,
            name => Some(
                name.parse::<StreamName>()
                    .map_err(|error| Status::invalid_argument(error.to_string()))?,
            ),
        };
        let log = self.log()?;
        let (places, places_max) = match request.follow {
            false => (&self.reads, READS_MAX),
            true => (&self.followers, FOLLOWERS_MAX),
        };
        let permit = Arc::clone(places).try_acquire_owned().map_err(|_| {
            Status::unavailable(format!("{places_max} reads are under way; read again later"))
        })?;
        let chunks = log.read(ReadRange {
            stream: only,
            after: request.after,
            limit: (request.limit > 0).then_some(request.limit),
            follow: request.follow,
        });
        let responses = chunks.map(move |chunk| {
            let _held_until_the_end = &permit;
            Ok(ReadResponse::encoded(chunk.map_err(read_status)?.rendered(encode)))
        });
        if !request.follow {
            return Ok(Response::new(Box::pin(responses)));
        }
        // A follower would hold up a stop for ever: tell it to come back. One that has all it asked
        // for ends like any other read.
        let log = log.clone();
        let stopping = stream::once(async move {
            match *log.state().borrow() {
                State::Ready | State::ReadOnly(_) => None,
                State::Draining | State::Failed(_) => Some(Err(Status::unavailable(
                    "the logging service is stopping; follow again from the last sequence",
                ))),
            }
        })
        .filter_map(std::future::ready);
        let until_stop = responses.take_until(self.stop.clone().cancelled_owned()).chain(stopping);
        Ok(Response::new(Box::pin(until_stop)))
    }

    async fn lookup(
        &self,
        request: Request<LookupRequest>,
    ) -> Result<Response<LookupResponse>, Status> {
        let id = MessageId::try_from(&request.into_inner().id[..])
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        match self.log()?.lookup(&id).await.map_err(read_status)? {
            Some(stored) => Ok(Response::new(LookupResponse { message: Some(stored.into()) })),
            None => Err(Status::not_found(format!("no message with id {id} is stored"))),
        }
    }

    async fn status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let (state, reason) = self.phase.state();
        Ok(Response::new(StatusResponse {
            state: state.into(),
            reason,
            last_sequence: self.phase.log().map_or(0, Log::last_sequence),
            store: self.store.to_string(),
            durable: self.store.is_durable(),
        }))
    }
}

/// A message that keeps the rules.
fn checked_message(message: v1::Message) -> Result<Message, Rejection> {
    Message::try_from(message).map_err(|error| Rejection::Invalid(format!("not stored: {error}")))
}

/// The ids as they were sent, and the messages. A part of the request's buffer would keep all of that in
/// memory, for as long as a message waits for the journal, and its id until the end of the call. So both
/// are copied: the ids together, and the bodies together, which are let go of together.
fn copied(mut messages: Vec<v1::Message>) -> (Vec<Bytes>, Vec<v1::Message>) {
    let bytes = |part: fn(&v1::Message) -> &Bytes| messages.iter().map(part).map(Bytes::len).sum();
    let mut ids = BytesMut::with_capacity(bytes(|message| &message.id));
    let mut bodies = BytesMut::with_capacity(bytes(|message| &message.body));
    for message in &messages {
        ids.extend_from_slice(&message.id);
        bodies.extend_from_slice(&message.body);
    }
    let (mut ids, mut bodies) = (ids.freeze(), bodies.freeze());
    let copy = |message: &mut v1::Message| {
        message.body = bodies.split_to(message.body.len());
        message.id = ids.split_to(message.id.len());
        message.id.clone()
    };
    let ids = messages.iter_mut().map(copy).collect();
    (ids, messages)
}

/// The records as they are on the wire.
fn encode(records: &[StoredMessage]) -> Bytes {
    ReadResponse::encode(records.iter().cloned().map(Into::into).collect())
}

/// Marks a failure that stored nothing, so that a client may say so.
fn surely_not_stored(mut status: Status) -> Status {
    status.metadata_mut().insert(STORED_TRAILER, tonic::metadata::MetadataValue::from_static("no"));
    status
}

fn append_status(error: AppendError) -> Status {
    let message = error.to_string();
    match error {
        AppendError::Draining => surely_not_stored(Status::unavailable(message)),
        AppendError::Failed => Status::unavailable(message),
    }
}

fn read_status(error: ReadError) -> Status {
    tracing::error!(%error, "a read failed");
    let message = error.to_string();
    match error {
        ReadError::Io { .. } => Status::unavailable(message),
        ReadError::Damaged { .. } => Status::data_loss(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_message_nor_its_id_keeps_the_request_it_came_in() {
        let request = Bytes::from(vec![b'x'; 64 * 1024]);
        let sent = [1, 0, 16].map(|len| v1::Message {
            id: request.slice(..len),
            body: request.slice(..1024),
            ..<_>::default()
        });
        let (ids, messages) = copied(sent.to_vec());
        assert!(ids.iter().eq(sent.iter().map(|message| &message.id)), "{ids:?}");
        assert_eq!(messages, sent);
        drop(sent);
        assert!(request.is_unique(), "the request is kept in memory");
    }
}
