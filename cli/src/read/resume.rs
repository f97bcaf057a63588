//! A read that goes on where it was when the service or the connection was lost.

use std::time::Duration;

use http::Uri;
use oncelog::message::StoredMessage;
use tokio::time::{Instant, sleep};

use super::{
    delay::{self, Backoff},
    log::{LogReader, Query, ReadError},
};
use crate::terminal::note;

/// How long a read that ends tries to come back, unless told otherwise. A follower never gives up.
const RETRY_FOR: Duration = Duration::from_secs(30);

/// Reads the log across outages: each message once, in order, none left out.
pub(super) struct ResumingReader {
    url: Uri,
    /// What is still to be read.
    query: Query,
    /// `None` for no limit.
    left: Option<u64>,
    retry_for: Option<Duration>,
    log: Option<Connection>,
    outage: Option<Outage>,
}

struct Connection {
    log: LogReader,
    since: Instant,
}

struct Outage {
    since: Instant,
    backoff: Backoff,
    /// Whether its end is still to be told.
    lasts: bool,
}

impl ResumingReader {
    /// Opens the read. Afterwards, an outage may last for `retry_for`, or without it as long as `query`
    /// allows by itself.
    ///
    /// # Errors
    /// The first connection or request fails: the address may be wrong, so it is not repeated.
    pub(super) async fn open(
        url: Uri,
        query: Query,
        retry_for: Option<Duration>,
    ) -> Result<Self, ReadError> {
        let log = LogReader::open(&url, &query).await?;
        let retry_for = retry_for.or_else(|| (!query.follow).then_some(RETRY_FOR));
        let left = (query.limit > 0).then_some(query.limit);
        let log = Some(Connection { log, since: Instant::now() });
        Ok(Self { url, query, left, retry_for, log, outage: None })
    }

    /// The next messages, in log order; `None` at the end. Standard error is told of an outage, and of its
    /// end.
    ///
    /// Dropping the future may lose messages: nothing can be read after it.
    ///
    /// # Errors
    /// What waiting cannot mend, or has not mended in time.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<StoredMessage>>, ReadError> {
        loop {
            if self.left == Some(0) {
                return Ok(None);
            }
            match self.try_next().await {
                Ok(Some(messages)) => {
                    self.advance(&messages);
                    return Ok(Some(messages));
                }
                Ok(None) => return Ok(None),
                Err(error) if error.is_transient() => self.wait(error).await?,
                Err(source @ ReadError::BrokeOff(_)) => return Err(self.give_up(source)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads on, by a new connection if the last one is lost.
    async fn try_next(&mut self) -> Result<Option<Vec<StoredMessage>>, ReadError> {
        let connection = match &mut self.log {
            Some(connection) => connection,
            None => {
                let log = LogReader::open(&self.url, &self.query).await?;
                if let Some(outage) = &mut self.outage {
                    outage.lasts = false;
                    note("reconnected to the logging service");
                }
                self.log.insert(Connection { log, since: Instant::now() })
            }
        };
        match connection.log.next().await? {
            None if self.query.follow => Err(ReadError::Closed),
            messages => Ok(messages),
        }
    }

    fn advance(&mut self, messages: &[StoredMessage]) {
        if let Some(last) = messages.last() {
            self.query.after = last.receipt.sequence;
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(messages.len() as u64);
            self.query.limit = *left;
        }
        self.outage = None;
    }

    /// Waits before the next attempt.
    async fn wait(&mut self, error: ReadError) -> Result<(), ReadError> {
        let lost = self.log.take();
        // A connection that lasted was no attempt of the outage before it.
        if lost.is_some_and(|lost| lost.since.elapsed() > delay::MAX) {
            self.outage = None;
        }
        let begin = || Outage { since: Instant::now(), backoff: Backoff::new(), lasts: false };
        let outage = self.outage.get_or_insert_with(begin);
        let delay = outage.backoff.next_delay();
        let lasted = outage.since.elapsed();
        if self.retry_for.is_some_and(|retry_for| lasted + delay > retry_for) {
            return Err(self.give_up(error));
        }
        if !outage.lasts {
            outage.lasts = true;
            let after = self.query.after;
            note(format_args!("{error}; reading goes on after sequence {after} once it is back"));
        }
        sleep(delay).await;
        Ok(())
    }

    fn give_up(&self, source: ReadError) -> ReadError {
        ReadError::GaveUp { source: Box::new(source), after: self.query.after }
    }
}
