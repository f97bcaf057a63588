//! Reading the log and the text of the messages service.

mod render;
mod time;

use std::time::Duration;

use oncelog::{
    message::{MessageId, StoredMessage, StreamName},
    wire::{InvalidReceipt, v1},
};
use tonic::{Code, Status, Streaming};

pub(crate) use self::render::{RecordJson, Renderer};
use self::time::rfc3339;
use crate::{Facade, http::page::Page};

/// Which service could not be asked, why, and what can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("the logging-service cannot be read: {0}. Nothing that was stored is lost; try again")]
    Logging(String),
    #[error(
        "the messages-service does not answer: {0}. The records stay readable with \
         Accept: application/x-ndjson"
    )]
    Messages(String),
}

/// Why a read that had begun did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadBroken {
    #[error("{}", describe(.0))]
    Status(#[from] Status),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("an answer that breaks the contract: {0}")]
    Contract(#[from] InvalidReceipt),
    #[error("a piece of it could not be made")]
    Render,
}

/// A read of the log under way.
pub(crate) struct LogReader {
    /// What came before anybody asked for it.
    first: Option<Vec<StoredMessage>>,
    rest: Streaming<v1::ReadResponse>,
    pause: Duration,
}

impl LogReader {
    /// Begins to read `page`. Returns once the first records, or the end, have arrived: so a log
    /// that cannot be read fails here, and not in the middle of an answer.
    pub(crate) async fn open(facade: &Facade, page: Page) -> Result<Self, Unavailable> {
        let pause = facade.read_timeout();
        let opening = Self::open_within(facade, page, pause);
        tokio::time::timeout(facade.call_timeout(), opening)
            .await
            .unwrap_or_else(|_| Err(ReadBroken::TimedOut(facade.call_timeout())))
            .map_err(|broken| Unavailable::Logging(broken.to_string()))
    }

    async fn open_within(facade: &Facade, page: Page, pause: Duration) -> Result<Self, ReadBroken> {
        let request = v1::ReadRequest {
            stream: StreamName::facade().as_str().to_owned(),
            after: page.after.unwrap_or(0),
            limit: page.limit.unwrap_or(0),
            follow: false,
        };
        let rest = facade.reads().read(request).await?.into_inner();
        let mut reader = Self { first: None, rest, pause };
        reader.first = Some(reader.next().await?.unwrap_or_default());
        Ok(reader)
    }

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

/// Asks the messages service for its text.
pub(crate) async fn messages_text(facade: &Facade) -> Result<String, Unavailable> {
    let mut messages = facade.messages();
    let call = messages.get_messages(v1::GetMessagesRequest {});
    match tokio::time::timeout(facade.call_timeout(), call).await {
        Ok(Ok(response)) => Ok(response.into_inner().text),
        Ok(Err(status)) => Err(Unavailable::Messages(describe(&status))),
        Err(_) => {
            let broken = ReadBroken::TimedOut(facade.call_timeout());
            Err(Unavailable::Messages(broken.to_string()))
        }
    }
}

/// Finds one record.
pub(crate) async fn lookup(
    facade: &Facade,
    id: MessageId,
) -> Result<Option<StoredMessage>, Unavailable> {
    let mut logging = facade.logging();
    let call = logging.lookup(v1::LookupRequest { id: id.as_bytes().to_vec().into() });
    let found = match tokio::time::timeout(facade.call_timeout(), call).await {
        Ok(Ok(response)) => response.into_inner().message.unwrap_or_default(),
        Ok(Err(status)) if status.code() == Code::NotFound => return Ok(None),
        Ok(Err(status)) => return Err(Unavailable::Logging(describe(&status))),
        Err(_) => {
            let broken = ReadBroken::TimedOut(facade.call_timeout());
            return Err(Unavailable::Logging(broken.to_string()));
        }
    };
    let record = StoredMessage::try_from(found);
    record.map(Some).map_err(|error| Unavailable::Logging(ReadBroken::Contract(error).to_string()))
}

/// A status in words, down to what the operating system said.
pub(crate) fn describe(status: &Status) -> String {
    let mut words = match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    };
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let detail = error.to_string();
        if !words.contains(&detail) {
            words = format!("{words}: {detail}");
        }
        source = error.source();
    }
    words
}
