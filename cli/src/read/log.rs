//! Reads the log over gRPC, by one connection.

use std::{error::Error as _, io};

use http::Uri;
use oncelog::{
    grpc::endpoint,
    limits,
    message::{AfterTheEnd, StoredMessage, StreamName},
    printable::escaped,
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
    NotServed { url: Uri, source: Box<Status> },
    /// It would be refused again.
    #[error("the logging service at {url} refuses the read: {}", explain(source))]
    Refused { url: Uri, source: Box<Status> },
    #[error(transparent)]
    AfterTheEnd(#[from] AfterTheEnd),
    #[error("the connection to the logging service broke: {}", explain(.0))]
    Broken(#[source] Box<Status>),
    #[error("reading broke off: {}", explain(.0))]
    BrokeOff(#[source] Box<Status>),
    /// Only a follower's: it waits for more.
    #[error("reading broke off: the log was closed")]
    Closed,
    #[error("the logging service sent {0}; it may be of a later version")]
    Contract(#[from] InvalidReceipt),
    #[error(
        "the logging service sent sequence {sequence} after {after}; it may be of a later version"
    )]
    Order { sequence: u64, after: u64 },
    /// What was read up to `after` is complete.
    #[error("{source}; {}", how_to_go_on(source, *after))]
    GaveUp { source: Box<Self>, after: u64 },
    #[error("cannot start: {0}")]
    Thread(#[source] io::Error),
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

impl ReadError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } | Self::NotServed { .. } | Self::Broken(_) | Self::Closed => {
                Exit::Unavailable
            }
            Self::BrokeOff(status) if is_unavailable(status) => Exit::Unavailable,
            Self::BrokeOff(source) | Self::Refused { source, .. }
                if source.code() == Code::DataLoss =>
            {
                Exit::Damaged
            }
            Self::Refused { .. }
            | Self::AfterTheEnd(_)
            | Self::BrokeOff(_)
            | Self::Contract(_)
            | Self::Order { .. }
            | Self::Thread(_) => Exit::Failure,
            Self::GaveUp { source, .. } => source.exit(),
            Self::Output(_) => Exit::Disk,
        }
    }

    /// Whether the same read may go well later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotServed { .. } | Self::Broken(_) | Self::Closed => {
                true
            }
            Self::BrokeOff(status) => is_unavailable(status),
            Self::Refused { .. }
            | Self::AfterTheEnd(_)
            | Self::Contract(_)
            | Self::Order { .. }
            | Self::GaveUp { .. }
            | Self::Thread(_)
            | Self::Output(_) => false,
        }
    }

    /// The read after `after` was refused at its start.
    fn refused(url: &Uri, status: Status, after: u64) -> Self {
        if let Some(ahead) = AfterTheEnd::from_status(&status, after) {
            return ahead.into();
        }
        let (url, source) = (url.clone(), Box::new(status));
        if is_broken(&source) || is_unavailable(&source) {
            Self::NotServed { url, source }
        } else {
            Self::Refused { url, source }
        }
    }

    /// The read ended on its way, after `after`.
    fn ended(status: Status, after: u64) -> Self {
        if let Some(ahead) = AfterTheEnd::from_status(&status, after) {
            return ahead.into();
        }
        let source = Box::new(status);
        if is_broken(&source) { Self::Broken(source) } else { Self::BrokeOff(source) }
    }
}

/// What to do after a read that ended early, and has shown all up to the sequence `after`.
fn how_to_go_on(source: &ReadError, after: u64) -> String {
    if source.exit() == Exit::Damaged {
        // The same read would end in the same place.
        format!(
            "go on with --after {after} once the journal is repaired; until then, --after and --limit read \
             what is in front of it and behind it"
        )
    } else {
        format!("go on with --after {after}")
    }
}

/// A read under way.
pub(super) struct LogReader {
    chunks: Streaming<ReadResponse>,
    after: u64,
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
        let opened = client.read(request).await;
        let response = opened.map_err(|status| ReadError::refused(url, status, query.after))?;
        Ok(Self { chunks: response.into_inner(), after: query.after })
    }

    /// The next messages, in log order; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<StoredMessage>>, ReadError> {
        let chunk = self.chunks.message().await;
        let chunk = chunk.map_err(|status| ReadError::ended(status, self.after))?;
        let Some(chunk) = chunk else { return Ok(None) };
        let messages: Vec<_> =
            chunk.messages.into_iter().map(StoredMessage::try_from).collect::<Result<_, _>>()?;
        for message in &messages {
            let sequence = message.receipt.sequence;
            // A message that was printed is never printed again.
            if sequence <= self.after {
                return Err(ReadError::Order { sequence, after: self.after });
            }
            self.after = sequence;
        }
        Ok(Some(messages))
    }
}

/// Whether these are not the words of the service: the connection broke.
fn is_broken(status: &Status) -> bool {
    status.source().is_some()
}

fn is_unavailable(status: &Status) -> bool {
    status.code() == Code::Unavailable
}

fn explain(status: &Status) -> String {
    if is_broken(status) {
        root_cause(status)
    } else if status.message().is_empty() {
        status.code().description().to_owned()
    } else {
        escaped(status.message().as_bytes())
    }
}
