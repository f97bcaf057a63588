//! `Read` and `Lookup`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use oncelog::{
    message::{MessageId, StoredMessage, StreamName},
    wire::v1::{LookupRequest, LookupResponse, ReadRequest, ReadResponse},
};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use super::{Grpc, status::read_status};
use crate::log::{Log, ReadRange, State};

pub(super) type Responses = BoxStream<'static, Result<ReadResponse, Status>>;

impl Grpc {
    /// The stream of one read, which holds a permit until it is dropped.
    pub(super) fn open_read(&self, request: ReadRequest) -> Result<Responses, Status> {
        let name = Some(&request.stream).filter(|name| !name.is_empty());
        let stream = name.map(|name| name.parse::<StreamName>()).transpose();
        let stream = stream.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let log = self.log()?;
        let permit = self.permit(request.follow)?;
        let chunks = log.read(ReadRange {
            stream,
            after: request.after,
            limit: (request.limit > 0).then_some(request.limit),
            follow: request.follow,
        })?;
        let responses = chunks.map(move |chunk| {
            let _held_until_the_end = &permit;
            Ok(ReadResponse::encoded(chunk.map_err(read_status)?.encoded(encode)))
        });
        if !request.follow {
            return Ok(Box::pin(responses));
        }
        // A follower would hold up a stop for ever: it is told to come back. One that has all it asked
        // for ends like any other read.
        let stopping = stream::once(stopping(log.clone())).filter_map(std::future::ready);
        Ok(Box::pin(responses.take_until(self.stop.clone().cancelled_owned()).chain(stopping)))
    }

    fn permit(&self, follow: bool) -> Result<OwnedSemaphorePermit, Status> {
        let (permits, permits_max) = if follow {
            (&self.followers, self.limits.followers)
        } else {
            (&self.reads, self.limits.reads)
        };
        Arc::clone(permits).try_acquire_owned().map_err(|_| {
            Status::unavailable(format!("{permits_max} reads are under way; read again later"))
        })
    }

    /// The stored message with an id.
    pub(super) async fn find(&self, request: LookupRequest) -> Result<LookupResponse, Status> {
        let id = MessageId::try_from(&request.id[..])
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        match self.log()?.lookup(&id).await.map_err(read_status)? {
            Some(stored) => Ok(LookupResponse { message: Some(stored.into()) }),
            None => Err(Status::not_found(format!("no message with id {id} is stored"))),
        }
    }
}

/// What a follower is told at the end of its stream, if that is because the service stops.
async fn stopping(log: Log) -> Option<Result<ReadResponse, Status>> {
    match *log.state().borrow() {
        State::Ready | State::ReadOnly(_) => None,
        State::Orphaned(_) | State::Draining | State::Failed(_) => Some(Err(Status::unavailable(
            "the logging service is stopping; follow again from the last sequence",
        ))),
    }
}

/// The records as they are on the wire.
fn encode(records: &[StoredMessage]) -> Bytes {
    ReadResponse::encode(records.iter().cloned().map(Into::into).collect())
}
