//! The calls that read the log and the text of the messages service.

use std::{future::Future, time::Duration};

use oncelog::{
    message::{MessageId, StoredMessage, StreamName},
    wire::v1::{
        self, logging_service_client::LoggingServiceClient,
        messages_service_client::MessagesServiceClient,
    },
};
use tonic::{Code, Response, Status, Streaming, transport::Channel};

use super::{NotOpened, ReadBroken, Unavailable};
use crate::http::page::Page;

/// The services that are read, and how long an answer may take.
#[derive(Debug, Clone)]
pub struct ReadUpstream {
    /// To the logging service, for short calls.
    pub logging: Channel,
    /// To the logging service, for reads of the log. Kept apart, so that clients that read slowly do not
    /// hold up clients that store.
    pub log_reads: Channel,
    /// To the messages service.
    pub messages: Channel,
    /// How long a short call may take.
    pub call_timeout: Duration,
    /// How long a read of the log may pause.
    pub read_timeout: Duration,
}

impl ReadUpstream {
    /// Begins to read `page`. Returns once the first records, or the end, have arrived: so a log that
    /// cannot be read fails here, and not in the middle of an answer.
    pub(crate) async fn read(&self, page: Page) -> Result<LogReader, NotOpened> {
        let after = page.after.unwrap_or(0);
        let request = v1::ReadRequest {
            stream: StreamName::facade().as_str().to_owned(),
            after,
            limit: page.limit.unwrap_or(0),
            follow: false,
        };
        let mut log = LoggingServiceClient::new(self.log_reads.clone());
        let opening = async {
            let rest = log.read(request).await?.into_inner();
            let mut reader = LogReader { first: None, rest, pause: self.read_timeout };
            reader.first = Some(reader.next().await?.unwrap_or_default());
            Ok(reader)
        };
        tokio::time::timeout(self.call_timeout, opening)
            .await
            .unwrap_or(Err(ReadBroken::TimedOut(self.call_timeout)))
            .map_err(|broken| NotOpened::new(broken, after))
    }

    /// Finds one record.
    pub(crate) async fn lookup(&self, id: MessageId) -> Result<Option<StoredMessage>, Unavailable> {
        let request = v1::LookupRequest { id: id.as_bytes().to_vec().into() };
        let found = match within(self.call_timeout, self.logging().lookup(request)).await {
            Ok(response) => response.message.unwrap_or_default(),
            Err(ReadBroken::Status(status)) if status.code() == Code::NotFound => return Ok(None),
            Err(broken) => return Err(Unavailable::logging(broken)),
        };
        let record = StoredMessage::try_from(found);
        record.map(Some).map_err(|error| Unavailable::logging(error.into()))
    }

    /// Asks the messages service for its text.
    pub(crate) async fn text(&self) -> Result<String, Unavailable> {
        self.text_within(self.call_timeout).await.map_err(Unavailable::Messages)
    }

    /// The same, for a caller that waits for `limit`.
    pub(crate) async fn text_within(&self, limit: Duration) -> Result<String, ReadBroken> {
        let mut messages = MessagesServiceClient::new(self.messages.clone());
        Ok(within(limit, messages.get_messages(v1::GetMessagesRequest {})).await?.text)
    }

    /// Asks the logging service for its state.
    pub(crate) async fn status_within(
        &self,
        limit: Duration,
    ) -> Result<v1::StatusResponse, ReadBroken> {
        within(limit, self.logging().status(v1::StatusRequest {})).await
    }

    fn logging(&self) -> LoggingServiceClient<Channel> {
        LoggingServiceClient::new(self.logging.clone())
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, ReadBroken> {
    let answered = tokio::time::timeout(limit, call).await;
    Ok(answered.map_err(|_| ReadBroken::TimedOut(limit))??.into_inner())
}

/// A read of the log under way.
#[derive(Debug)]
pub(crate) struct LogReader {
    /// What came before the first call of `next`.
    first: Option<Vec<StoredMessage>>,
    rest: Streaming<v1::ReadResponse>,
    pause: Duration,
}

impl LogReader {
    /// The next records, or `None` at the end. An error means that records may be missing.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<StoredMessage>>, ReadBroken> {
        if let Some(first) = self.first.take()
            && !first.is_empty()
        {
            return Ok(Some(first));
        }
        let next = tokio::time::timeout(self.pause, self.rest.message());
        let Some(response) = next.await.map_err(|_| ReadBroken::TimedOut(self.pause))?? else {
            return Ok(None);
        };
        let records: Result<_, _> =
            response.messages.into_iter().map(StoredMessage::try_from).collect();
        Ok(Some(records?))
    }
}
