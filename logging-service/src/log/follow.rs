//! Following the log: many readers that want the same, and do not get in the way of appends.

use std::sync::Arc;

use futures_util::{Stream, stream};
use oncelog::limits::{
    FOLLOWED_CHUNK_BYTES_MAX, FOLLOWED_CHUNK_COST_BYTES, FOLLOWED_CHUNK_MESSAGES_MAX,
    FOLLOWED_MESSAGE_COST_BYTES,
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{
    chunk::Chunk,
    pace::Pace,
    read::{ReadRange, Source, panicked},
    recent::Recent,
};
use crate::store::{ReadError, ScanLimit};

const LIMIT: ScanLimit =
    ScanLimit { messages: FOLLOWED_CHUNK_MESSAGES_MAX, bytes: FOLLOWED_CHUNK_BYTES_MAX };

/// What all followers share. It goes with the last of them.
pub(super) struct Followers {
    recent: Recent,
    pace: Pace,
}

impl Followers {
    pub(super) fn new(last_sequence: watch::Receiver<u64>) -> Self {
        Self { recent: Recent::default(), pace: Pace::new(last_sequence) }
    }
}

/// One reader that waits for more at the end of the log.
struct Follower {
    followers: Arc<Followers>,
    source: Source,
    range: ReadRange,
    /// How many records it may still get.
    left: u64,
}

/// Chunks of at least one record. Nothing is read ahead of a reader that does not ask.
pub(super) fn follow(
    followers: Arc<Followers>,
    source: Source,
    range: ReadRange,
) -> impl Stream<Item = Result<Arc<Chunk>, ReadError>> + Send + 'static {
    let left = range.limit.unwrap_or(u64::MAX);
    let follower = Follower { followers, source, range, left };
    stream::unfold(Some(follower), async |follower| {
        // A task of its own: whoever waits for a turn must go on with it when it comes, or others
        // would wait for a connection that takes nothing.
        let next = AbortOnDropHandle::new(tokio::spawn(follower?.next())).await;
        match next.unwrap_or_else(|_| Err(panicked())) {
            Ok(next) => next.map(|(chunk, follower)| (Ok(chunk), Some(follower))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

impl Follower {
    /// What comes next, and who goes on from there; `None` at the end.
    async fn next(mut self) -> Result<Option<(Arc<Chunk>, Self)>, ReadError> {
        while self.left > 0 {
            let Some(last_known) = self.source.newer_than(self.range.after).await else { break };
            let expected_bytes = expected_bytes(last_known - self.range.after);
            self.followers.pace.turn(expected_bytes).await;
            let chunk = self.chunk().await?;
            self.followers.pace.pay(chunk.cost_bytes().saturating_sub(expected_bytes));
            let chunk_upto = chunk.upto();
            let chunk = chunk.part(self.range.after, u64::MAX, self.left);
            self.range.after = chunk_upto;
            self.left -= chunk.records().len() as u64;
            if !chunk.records().is_empty() {
                return Ok(Some((chunk, self)));
            }
        }
        Ok(None)
    }

    /// What comes after its place, from another follower or from the store.
    async fn chunk(&self) -> Result<Arc<Chunk>, ReadError> {
        let (only, after) = (self.range.stream.as_ref(), self.range.after);
        let shared = self.followers.recent.after(only, after);
        let read = async || {
            let (records, upto) = self.source.scan(after, LIMIT).await?;
            Ok(Arc::new(Chunk::new(records, upto, only)))
        };
        shared.get_or_try_init(read).await.cloned()
    }
}

/// What so many records may cost.
fn expected_bytes(records: u64) -> u64 {
    let records = records.min(FOLLOWED_CHUNK_MESSAGES_MAX as u64);
    FOLLOWED_CHUNK_COST_BYTES + records * FOLLOWED_MESSAGE_COST_BYTES
}
