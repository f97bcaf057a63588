//! Reading a part of the log from the store, chunk by chunk.

use std::sync::Arc;

use futures_util::Stream;
use oncelog::message::StoredMessage;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::{ReadRange, chunk::Chunk, panicked};
use crate::{
    execution::Execution,
    limits::Limits,
    store::{ReadError, Reader, ScanLimit},
};

/// Chunks that are read ahead of a slow reader.
const CHUNKS_AHEAD_MAX: usize = 1;

/// What a read needs of the log. Clones share the bound on scans at once.
#[derive(Clone)]
pub(in crate::log) struct Scanner {
    pub(super) limits: Limits,
    pub(super) last_sequence: watch::Receiver<u64>,
    reader: Arc<dyn Reader>,
    execution: Execution,
    /// One permit for each chunk that may be read at a time.
    scans: Arc<Semaphore>,
}

impl Scanner {
    pub(in crate::log) fn new(
        reader: Arc<dyn Reader>,
        last_sequence: watch::Receiver<u64>,
        execution: Execution,
        limits: Limits,
    ) -> Self {
        let scans = Arc::new(Semaphore::new(limits.scans_at_once));
        Self { limits, last_sequence, reader, execution, scans }
    }

    /// The last sequence, once it is greater than `after`; `None` if it never will be.
    pub(super) async fn newer_than(&mut self, after: u64) -> Option<u64> {
        // The log is closed when its last sequence can no longer change.
        self.last_sequence.wait_for(|last| *last > after).await.ok().map(|last| *last)
    }

    /// The records after `after`, of which there are some, and up to which sequence nothing is left out.
    pub(super) async fn scan(
        &self,
        after: u64,
        limit: ScanLimit,
    ) -> Result<(Vec<StoredMessage>, u64), ReadError> {
        // It is never closed, and without a permit the scan would only be less fair.
        let permit = Arc::clone(&self.scans).acquire_owned().await;
        let last_known = *self.last_sequence.borrow();
        let scan = move |reader: &dyn Reader| {
            // A scan goes on when its reader has left.
            let _permit = permit;
            reader.scan(after, limit)
        };
        let mut records = self.read(scan).await?;
        // A store shows a batch a moment before the log knows it. A client that read it now, and came back with
        // its sequence, could be refused as one that is ahead of the log.
        records.truncate(records.partition_point(|record| record.receipt.sequence <= last_known));
        // Nothing up to the end: all of it was lost before a repair. There may be more to come.
        let end = records.last().map_or(last_known, |last| last.receipt.sequence);
        Ok((records, end))
    }

    /// Runs a read that may wait for the disk where it holds up nothing else. Dropping the future does not
    /// stop a read that has begun.
    pub(in crate::log) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let reader = Arc::clone(&self.reader);
        self.execution.read(move || read(&*reader)).await.unwrap_or_else(|| Err(panicked()))
    }
}

/// Opens a stream that ends. A task reads ahead a little; it ends when the stream is dropped.
pub(super) fn read(
    scanner: Scanner,
    range: ReadRange,
) -> impl Stream<Item = Result<Arc<Chunk>, ReadError>> + Send + 'static {
    let end = *scanner.last_sequence.borrow();
    let (chunks, receiver) = mpsc::channel(CHUNKS_AHEAD_MAX);
    tokio::spawn(async move {
        tokio::select! {
            // A fixed order, so that a simulation repeats itself.
            biased;
            result = send_chunks(&chunks, scanner, range, end) => {
                if let Err(error) = result {
                    // The reader may be gone; then the error does not matter.
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
    scanner: Scanner,
    range: ReadRange,
    end: u64,
) -> Result<(), ReadError> {
    let ScanLimit { messages: chunk_messages, bytes } = scanner.limits.read_chunk;
    let mut left = range.limit.unwrap_or(u64::MAX);
    let mut after = range.after;
    while left > 0 && after < end {
        // Other streams are skipped, so their records must not use up the limit of this scan.
        let in_scan = if range.stream.is_none() { left.min(end - after) } else { end - after };
        let messages = usize::try_from(in_scan)
            .map_or(chunk_messages, |messages| messages.min(chunk_messages));
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        let (records, chunk_end) = match scanner.scan(after, ScanLimit { messages, bytes }).await {
            // The damage may be behind all that is wanted: what is in front of it can be had.
            Err(ReadError::Damaged(_)) if wanted < messages => {
                scanner.scan(after, ScanLimit { messages: wanted, bytes }).await?
            }
            scanned => scanned?,
        };
        let chunk = Arc::new(Chunk::new(records, chunk_end, range.stream.as_ref()));
        let chunk = chunk.part(after, end, left);
        after = chunk_end;
        left -= chunk.records().len() as u64;
        if !chunk.records().is_empty() && chunks.send(Ok(chunk)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use oncelog::message::Receipt;

    use super::*;
    use crate::{store::Address, testing::message};

    /// A store that has more than the log knows of.
    struct Ahead(Vec<u64>);

    impl Reader for Ahead {
        fn get(&self, _: Address) -> Result<StoredMessage, ReadError> {
            unreachable!("only scans are tested")
        }

        fn scan(&self, after: u64, _: ScanLimit) -> Result<Vec<StoredMessage>, ReadError> {
            let stored = |sequence: &u64| StoredMessage {
                receipt: Receipt { sequence: *sequence, stored_at: std::time::UNIX_EPOCH },
                message: message("x"),
            };
            Ok(self.0.iter().filter(|sequence| **sequence > after).map(stored).collect())
        }
    }

    #[tokio::test]
    async fn a_scan_shows_no_record_that_the_log_does_not_know() {
        // The second log ends with sequences that a repair has declared lost.
        for (sequences, after, expected, expected_end) in [
            (vec![1, 2, 3, 4], 0, vec![1, 2, 3], 3),
            (vec![1, 4], 0, vec![1], 1),
            (vec![1, 4], 1, vec![], 3),
        ] {
            let (_last, last_sequence) = watch::channel(3);
            let scanner = Scanner::new(
                Arc::new(Ahead(sequences)),
                last_sequence,
                Execution::Tasks,
                Limits::default(),
            );
            let limit = ScanLimit { messages: 10, bytes: 10 };
            let (records, end) = scanner.scan(after, limit).await.unwrap();
            let found: Vec<_> = records.iter().map(|record| record.receipt.sequence).collect();
            assert_eq!((found, end), (expected, expected_end));
        }
    }
}
