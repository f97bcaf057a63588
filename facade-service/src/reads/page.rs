//! The first page of an answer: read whole before any of it is sent, so that no client holds up the read.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Encoder, LogReader, ReadBroken};

/// A piece of an answer, with its part of the budget of all pages.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}

/// What was read, and what is left to read if there is more than a page.
pub(crate) struct Buffered {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) rest: Option<(LogReader, Encoder)>,
}

/// Reads `limit` records, or to the end of `log`, unless the pieces become more than `page_bytes` or than the
/// `budget` has left. The last piece may exceed both.
pub(crate) async fn buffer(
    mut log: LogReader,
    mut encoder: Encoder,
    limit: Option<u64>,
    page_bytes: usize,
    budget: &Arc<Semaphore>,
    encode_slots: Option<&Semaphore>,
) -> Result<Buffered, ReadBroken> {
    let (mut pieces, mut left) = (Vec::new(), page_bytes);
    let mut records_left = limit.unwrap_or(u64::MAX);
    while records_left > 0
        && let Some(records) = log.next().await?
    {
        records_left = records_left.saturating_sub(records.len() as u64);
        let bytes;
        (encoder, bytes) = encoder.piece(records, encode_slots).await?;
        let permits = u32::try_from(bytes.len()).ok();
        let permit =
            permits.and_then(|permits| Arc::clone(budget).try_acquire_many_owned(permits).ok());
        // One message may be larger than a page.
        let fits = permit.is_some() && (bytes.len() <= left || records_left == 0);
        left = left.saturating_sub(bytes.len());
        pieces.push(Piece { bytes, _permit: permit });
        if !fits {
            return Ok(Buffered { pieces, rest: Some((log, encoder)) });
        }
    }
    pieces.push(Piece { bytes: encoder.end(), _permit: None });
    Ok(Buffered { pieces, rest: None })
}
