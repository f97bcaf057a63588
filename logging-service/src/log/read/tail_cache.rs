//! The tail cache: the chunks that followers were given last, for those that reach the same position a little
//! later. Each chunk is read once, by the first follower that needs it (single-flight).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use oncelog::message::StreamName;
use tokio::sync::OnceCell;

use super::chunk::Chunk;

/// Chunks that are kept.
const CHUNKS_MAX: usize = 4;

/// A chunk that is there, or that the first follower that needs it reads for all.
pub(super) type ChunkCell = Arc<OnceCell<Arc<Chunk>>>;

/// Few chunks, the newest first.
#[derive(Debug, Default)]
pub(super) struct TailCache(Mutex<VecDeque<Entry>>);

#[derive(Debug)]
struct Entry {
    /// Only records of this stream.
    only: Option<StreamName>,
    after: u64,
    chunk: ChunkCell,
}

impl TailCache {
    /// The chunk with what comes after `after`. It may begin earlier. If there is none, it is a new
    /// one, to be read.
    pub(super) fn after(&self, only: Option<&StreamName>, after: u64) -> ChunkCell {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = entries.iter().find(|entry| entry.only.as_ref() == only && entry.holds(after));
        if let Some(entry) = found {
            return Arc::clone(&entry.chunk);
        }
        let chunk = ChunkCell::default();
        entries.push_front(Entry { only: only.cloned(), after, chunk: Arc::clone(&chunk) });
        entries.truncate(CHUNKS_MAX);
        chunk
    }
}

impl Entry {
    fn holds(&self, after: u64) -> bool {
        let further = |chunk: &Arc<Chunk>| self.after <= after && after < chunk.end();
        self.after == after || self.chunk.get().is_some_and(further)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cell: &ChunkCell, end: u64) {
        cell.set(Arc::new(Chunk::new(Vec::new(), end, None))).unwrap();
    }

    #[test]
    fn followers_at_one_position_share_a_chunk_while_it_is_read() {
        let cache = TailCache::default();
        let first = cache.after(None, 10);
        assert!(Arc::ptr_eq(&first, &cache.after(None, 10)));
        assert!(!Arc::ptr_eq(&first, &cache.after(None, 15)), "it is not known how far it reaches");
        read(&first, 20);
        assert!(Arc::ptr_eq(&first, &cache.after(None, 10)));
    }

    #[test]
    fn a_position_within_a_chunk_finds_it_and_others_do_not() {
        let cache = TailCache::default();
        let first = cache.after(None, 10);
        read(&first, 20);
        assert!(Arc::ptr_eq(&first, &cache.after(None, 19)));
        assert!(!Arc::ptr_eq(&first, &cache.after(None, 20)));
        assert!(!Arc::ptr_eq(&first, &cache.after(None, 9)));
        assert!(!Arc::ptr_eq(&first, &cache.after(Some(&StreamName::facade()), 10)));
    }

    #[test]
    fn only_a_few_chunks_are_kept() {
        let cache = TailCache::default();
        let kept: Vec<_> =
            (0..100).map(|after| Arc::downgrade(&cache.after(None, after))).collect();
        let alive = kept.iter().filter(|chunk| chunk.strong_count() > 0).count();
        assert_eq!(alive, CHUNKS_MAX);
    }
}
