//! Reads the log over gRPC.

use std::{error::Error as _, io};

use http::Uri;
use oncelog::{
    grpc::endpoint,
    limits,
    message::{StoredMessage, StreamName},
    process::exit::Exit,
    wire::{
        InvalidReceipt,
        v1::{ReadRequest, ReadResponse, logging_service_client::LoggingServiceClient},
    },
};
use tonic::{Code, Status, Streaming};

use crate::terminal::root_cause;

/// Which messages to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) stream: Option<StreamName>,
    pub(super) after: u64,
    pub(super) limit: u64,
    pub(super) follow: bool,
}

/// Why reading ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot reach the logging service at {url}: {}", root_cause(source))]
    Unreachable { url: Uri, source: tonic::transport::Error },
    #[error("the logging service at {url} does not serve reads: {}", explain(source))]
    Refused { url: Uri, source: Box<Status> },
    #[error("reading broke off: {}; go on with --after {last_sequence}", explain(source))]
    BrokeOff { source: Box<Status>, last_sequence: u64 },
    #[error("the logging service sent {0}; it may be of a later version")]
    Contract(#[from] InvalidReceipt),
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

impl ReadError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } | Self::Refused { .. } => Exit::Unavailable,
            Self::BrokeOff { source, .. } if source.code() == Code::DataLoss => Exit::Damaged,
            Self::BrokeOff { .. } | Self::Contract(_) => Exit::Failure,
            Self::Output(_) => Exit::Disk,
        }
    }
}

/// A read under way.
pub(super) struct LogReader {
    chunks: Streaming<ReadResponse>,
    last_sequence: u64,
}

impl LogReader {
    pub(super) async fn open(url: &Uri, query: &Query) -> Result<Self, ReadError> {
        let endpoint = endpoint(url.clone());
        let unreachable = |source| ReadError::Unreachable { url: url.clone(), source };
        let channel = endpoint.connect().await.map_err(unreachable)?;
        let mut client = LoggingServiceClient::new(channel)
            .max_decoding_message_size(limits::GRPC_MESSAGE_BYTES_MAX);
        let request = ReadRequest {
            stream: query.stream.as_ref().map_or_else(String::new, StreamName::to_string),
            after: query.after,
            limit: query.limit,
            follow: query.follow,
        };
        let response = client
            .read(request)
            .await
            .map_err(|status| ReadError::Refused { url: url.clone(), source: status.into() })?;
        Ok(Self { chunks: response.into_inner(), last_sequence: query.after })
    }

    /// The next messages, in log order; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<StoredMessage>>, ReadError> {
        let chunk = self.chunks.message().await.map_err(|status| ReadError::BrokeOff {
            source: status.into(),
            last_sequence: self.last_sequence,
        })?;
        let Some(chunk) = chunk else { return Ok(None) };
        let messages: Vec<_> =
            chunk.messages.into_iter().map(StoredMessage::try_from).collect::<Result<_, _>>()?;
        if let Some(last) = messages.last() {
            self.last_sequence = last.receipt.sequence;
        }
        Ok(Some(messages))
    }
}

fn explain(status: &Status) -> String {
    if status.source().is_some() {
        // The connection broke: these are not the words of the service.
        root_cause(status)
    } else if status.message().is_empty() {
        status.code().description().to_owned()
    } else {
        status.message().to_owned()
    }
}
