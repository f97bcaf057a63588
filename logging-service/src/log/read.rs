//! Reading the log as a stream of chunks.

use std::{io, pin::Pin, sync::Arc, task};

use futures_util::Stream;
use oncelog::{
    limits::{READ_CHUNK_BYTES_MAX, READ_CHUNK_MESSAGES_MAX, READ_CHUNKS_AHEAD_MAX},
    message::{StoredMessage, StreamName},
};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::chunk::Chunk;
use crate::{
    execution::Execution,
    store::{ReadError, Reader, ScanLimit},
};

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct ReadRange {
    /// Only this stream; all if absent.
    pub stream: Option<StreamName>,
    /// Only greater sequences.
    pub after: u64,
    /// At most this many records; all if absent.
    pub limit: Option<u64>,
    /// Whether to wait for more at the end of the log.
    pub follow: bool,
}

/// Chunks of at least one record, in log order. Ends after an error, and without `follow` at what
/// was the end of the log when it was opened.
pub struct ReadStream(Pin<Box<dyn Stream<Item = Result<Arc<Chunk>, ReadError>> + Send>>);

impl Stream for ReadStream {
    type Item = Result<Arc<Chunk>, ReadError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> task::Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl ReadStream {
    /// A stream of these chunks.
    pub(super) fn new(
        chunks: impl Stream<Item = Result<Arc<Chunk>, ReadError>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(chunks))
    }
}

/// What a stream reads from.
pub(super) struct Source {
    pub(super) reader: Arc<dyn Reader>,
    pub(super) last_sequence: watch::Receiver<u64>,
    pub(super) execution: Execution,
    /// One permit for each chunk that may be read at a time.
    pub(super) scans: Arc<Semaphore>,
}

impl Source {
    /// The last sequence, once it is greater than `after`; `None` if it never will be.
    pub(super) async fn newer_than(&mut self, after: u64) -> Option<u64> {
        // The log is closed when its last sequence can no longer change.
        self.last_sequence.wait_for(|last| *last > after).await.ok().map(|last| *last)
    }

    /// The records after `after`, of which there are some, and up to where nothing is left out.
    pub(super) async fn scan(
        &self,
        after: u64,
        limit: ScanLimit,
    ) -> Result<(Vec<StoredMessage>, u64), ReadError> {
        // It is never closed, and without a permit the scan would only be less fair.
        let permit = Arc::clone(&self.scans).acquire_owned().await;
        let last_known = *self.last_sequence.borrow();
        let reader = Arc::clone(&self.reader);
        let scan = move || {
            // A scan goes on when its reader has left.
            let _permit = permit;
            reader.scan(after, limit)
        };
        let records = blocking(self.execution, scan).await?;
        // Nothing up to the end: all of it was lost before a repair. There may be more to come.
        let upto = records.last().map_or(last_known, |last| last.receipt.sequence);
        Ok((records, upto))
    }
}

/// Opens a stream that ends. A task reads ahead a little; it ends when the stream is dropped.
pub(super) fn read(
    source: Source,
    range: ReadRange,
) -> impl Stream<Item = Result<Arc<Chunk>, ReadError>> + Send + 'static {
    let end = *source.last_sequence.borrow();
    let (chunks, receiver) = mpsc::channel(READ_CHUNKS_AHEAD_MAX);
    tokio::spawn(async move {
        tokio::select! {
            // A fixed order, so that a simulation repeats itself.
            biased;
            result = send_chunks(&chunks, source, range, end) => {
                if let Err(error) = result {
                    // The reader may be gone; then nobody needs to know.
                    let _ = chunks.send(Err(error)).await;
                }
            }
            () = chunks.closed() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn send_chunks(
    chunks: &mpsc::Sender<Result<Arc<Chunk>, ReadError>>,
    source: Source,
    range: ReadRange,
    end: u64,
) -> Result<(), ReadError> {
    let mut left = range.limit.unwrap_or(u64::MAX);
    let mut after = range.after;
    while left > 0 && after < end {
        // Other streams are skipped, so their records must not use up the limit of this scan.
        let in_scan = if range.stream.is_none() { left.min(end - after) } else { end - after };
        let limit = ScanLimit {
            messages: usize::try_from(in_scan)
                .map_or(READ_CHUNK_MESSAGES_MAX, |messages| messages.min(READ_CHUNK_MESSAGES_MAX)),
            bytes: READ_CHUNK_BYTES_MAX,
        };
        let (records, upto) = source.scan(after, limit).await?;
        let chunk = Arc::new(Chunk::new(records, upto, range.stream.as_ref()));
        let chunk = chunk.part(after, end, left);
        after = upto;
        left -= chunk.records().len() as u64;
        if !chunk.records().is_empty() && chunks.send(Ok(chunk)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Runs a read that may wait for the disk where it holds up nobody else.
pub(super) async fn blocking<T: Send + 'static>(
    execution: Execution,
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    execution.read(read).await.unwrap_or_else(|| Err(panicked()))
}

/// For a read whose thread or task panicked.
pub(super) fn panicked() -> ReadError {
    ReadError::Io { file: "log".to_owned(), source: io::Error::other("the read panicked") }
}
