//! Following the log: many readers that want the same, and do not get in the way of appends.

use std::sync::Arc;

use futures_util::{Stream, stream};
use tokio_util::task::AbortOnDropHandle;

use super::{
    ReadRange,
    chunk::{self, Chunk},
    panicked,
    scan::Scanner,
    tail_cache::TailCache,
    throttle::Throttle,
};
use crate::store::ReadError;

/// What all followers share. It goes with the last of them.
pub(super) struct Followers {
    tail_cache: TailCache,
    throttle: Throttle,
}

impl Followers {
    pub(super) fn new(scanner: &Scanner) -> Self {
        let bytes_per_second = scanner.limits.follow_bytes_per_second;
        let throttle = Throttle::new(scanner.last_sequence.clone(), bytes_per_second);
        Self { tail_cache: TailCache::default(), throttle }
    }
}

/// One reader that waits for more at the end of the log.
struct Follower {
    followers: Arc<Followers>,
    scanner: Scanner,
    range: ReadRange,
    /// How many records it may still get.
    left: u64,
}

/// Chunks of at least one record. Nothing is read ahead of a reader that does not ask.
pub(super) fn follow(
    followers: Arc<Followers>,
    scanner: Scanner,
    range: ReadRange,
) -> impl Stream<Item = Result<Arc<Chunk>, ReadError>> + Send + 'static {
    let left = range.limit.unwrap_or(u64::MAX);
    let follower = Follower { followers, scanner, range, left };
    stream::unfold(Some(follower), async |follower| {
        // A task of its own: a follower that is granted its turn must go on with it at once, or others
        // would wait for a connection that takes nothing.
        let next = AbortOnDropHandle::new(tokio::spawn(follower?.next())).await;
        match next.unwrap_or_else(|_| Err(panicked())) {
            Ok(next) => next.map(|(chunk, follower)| (Ok(chunk), Some(follower))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

impl Follower {
    /// What comes next, and the follower that goes on from there; `None` at the end.
    async fn next(mut self) -> Result<Option<(Arc<Chunk>, Self)>, ReadError> {
        while self.left > 0 {
            let Some(last_known) = self.scanner.newer_than(self.range.after).await else { break };
            // How large the bodies are is known once the chunk is there, so the rest is charged then.
            let records = last_known - self.range.after;
            let known_bytes =
                chunk::cost_bytes(records.min(self.scanner.limits.follow_chunk.messages as u64), 0);
            self.followers.throttle.acquire(known_bytes).await;
            let chunk = self.chunk().await?;
            self.followers.throttle.charge(chunk.cost_bytes().saturating_sub(known_bytes));
            let chunk_end = chunk.end();
            let chunk = chunk.part(self.range.after, u64::MAX, self.left);
            self.range.after = chunk_end;
            self.left -= chunk.records().len() as u64;
            if !chunk.records().is_empty() {
                return Ok(Some((chunk, self)));
            }
        }
        Ok(None)
    }

    /// What comes after its position, from another follower or from the store.
    async fn chunk(&self) -> Result<Arc<Chunk>, ReadError> {
        let (only, after) = (self.range.stream.as_ref(), self.range.after);
        let cell = self.followers.tail_cache.after(only, after);
        let read = async || {
            let (records, end) = self.scanner.scan(after, self.scanner.limits.follow_chunk).await?;
            Ok(Arc::new(Chunk::new(records, end, only)))
        };
        cell.get_or_try_init(read).await.cloned()
    }
}
