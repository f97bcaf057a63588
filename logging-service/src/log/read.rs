//! Reading the log as a stream of chunks.

use std::{sync::Arc, task};

use futures_util::Stream;
use oncelog::{
    limits::{READ_CHUNK_BYTES_MAX, READ_CHUNK_MESSAGES_MAX, READ_CHUNKS_AHEAD_MAX},
    message::{StoredMessage, StreamName},
};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

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
pub struct ReadStream(ReceiverStream<Result<Vec<StoredMessage>, ReadError>>);

impl Stream for ReadStream {
    type Item = Result<Vec<StoredMessage>, ReadError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> task::Poll<Option<Self::Item>> {
        std::pin::Pin::new(&mut self.0).poll_next(context)
    }
}

/// Opens a stream. A task reads ahead a little; it ends when the stream is dropped.
pub(super) fn read(
    reader: Arc<dyn Reader>,
    last_sequence: watch::Receiver<u64>,
    range: ReadRange,
    execution: Execution,
    scans: Arc<Semaphore>,
) -> ReadStream {
    let end = if range.follow { u64::MAX } else { *last_sequence.borrow() };
    let (chunks, receiver) = mpsc::channel(READ_CHUNKS_AHEAD_MAX);
    tokio::spawn(async move {
        let source = Source { reader, last_sequence, execution, scans };
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
    ReadStream(ReceiverStream::new(receiver))
}

/// What a stream reads from.
struct Source {
    reader: Arc<dyn Reader>,
    last_sequence: watch::Receiver<u64>,
    execution: Execution,
    /// One permit for each chunk that may be read at a time.
    scans: Arc<Semaphore>,
}

async fn send_chunks(
    chunks: &mpsc::Sender<Result<Vec<StoredMessage>, ReadError>>,
    Source { reader, mut last_sequence, execution, scans }: Source,
    mut range: ReadRange,
    end: u64,
) -> Result<(), ReadError> {
    let mut left = range.limit.unwrap_or(u64::MAX);
    while left > 0 && range.after < end {
        let last_known = *last_sequence.borrow_and_update();
        if last_known <= range.after {
            // The log is closed when its last sequence can no longer change.
            if last_sequence.changed().await.is_err() {
                return Ok(());
            }
            continue;
        }
        let (reader, after) = (Arc::clone(&reader), range.after);
        // Other streams are skipped, so their records must not use up the limit of this scan.
        let in_scan = if range.stream.is_none() { left.min(end - after) } else { end - after };
        let limit = ScanLimit {
            messages: usize::try_from(in_scan)
                .map_or(READ_CHUNK_MESSAGES_MAX, |messages| messages.min(READ_CHUNK_MESSAGES_MAX)),
            bytes: READ_CHUNK_BYTES_MAX,
        };
        // It is never closed, and without a permit the scan would only be less fair.
        let permit = scans.acquire().await;
        let mut records = blocking(execution, move || reader.scan(after, limit)).await?;
        drop(permit);
        // Nothing up to the end: all of it was lost before a repair. There may be more to come.
        range.after = records.last().map_or(last_known, |last| last.place.sequence);
        let wanted = |stream: &StreamName| range.stream.as_ref().is_none_or(|only| only == stream);
        records.retain(|record| record.place.sequence <= end && wanted(&record.message.stream));
        records.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= records.len() as u64;
        if !records.is_empty() && chunks.send(Ok(records)).await.is_err() {
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
    execution.read(read).await.unwrap_or_else(|| {
        let source = std::io::Error::other("the read panicked");
        Err(ReadError::Io { file: "log".to_owned(), source })
    })
}
