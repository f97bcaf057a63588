//! The chunks that followers were given last, for those who come to the same place a little later.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use oncelog::{limits::FOLLOWED_CHUNKS_KEPT_MAX, message::StreamName};
use tokio::sync::OnceCell;

use super::chunk::Chunk;

/// A chunk that is there, or that the first who needs it reads for all.
pub(super) type Shared = Arc<OnceCell<Arc<Chunk>>>;

/// Few chunks, the newest first.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Slot>>);

#[derive(Debug)]
struct Slot {
    /// Only records of this stream.
    only: Option<StreamName>,
    after: u64,
    chunk: Shared,
}

impl Recent {
    /// The chunk with what comes after `after`. It may begin earlier. If there is none, it is a new
    /// one, to be read.
    pub(super) fn after(&self, only: Option<&StreamName>, after: u64) -> Shared {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = slots.iter().find(|slot| slot.only.as_ref() == only && slot.holds(after));
        if let Some(slot) = found {
            return Arc::clone(&slot.chunk);
        }
        let chunk = Shared::default();
        slots.push_front(Slot { only: only.cloned(), after, chunk: Arc::clone(&chunk) });
        slots.truncate(FOLLOWED_CHUNKS_KEPT_MAX);
        chunk
    }
}

impl Slot {
    fn holds(&self, after: u64) -> bool {
        let further = |chunk: &Arc<Chunk>| self.after <= after && after < chunk.upto();
        self.after == after || self.chunk.get().is_some_and(further)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shared: &Shared, upto: u64) {
        shared.set(Arc::new(Chunk::new(Vec::new(), upto, None))).unwrap();
    }

    #[test]
    fn who_comes_to_the_same_place_gets_the_same_chunk_also_while_it_is_read() {
        let recent = Recent::default();
        let first = recent.after(None, 10);
        assert!(Arc::ptr_eq(&first, &recent.after(None, 10)));
        assert!(!Arc::ptr_eq(&first, &recent.after(None, 15)), "nobody knows how far it reaches");
        read(&first, 20);
        assert!(Arc::ptr_eq(&first, &recent.after(None, 10)));
    }

    #[test]
    fn who_is_within_a_chunk_gets_it_and_who_is_at_its_end_or_elsewhere_does_not() {
        let recent = Recent::default();
        let first = recent.after(None, 10);
        read(&first, 20);
        assert!(Arc::ptr_eq(&first, &recent.after(None, 19)));
        assert!(!Arc::ptr_eq(&first, &recent.after(None, 20)));
        assert!(!Arc::ptr_eq(&first, &recent.after(None, 9)));
        assert!(!Arc::ptr_eq(&first, &recent.after(Some(&StreamName::facade()), 10)));
    }

    #[test]
    fn only_a_few_chunks_are_kept() {
        let recent = Recent::default();
        let kept: Vec<_> =
            (0..100).map(|after| Arc::downgrade(&recent.after(None, after))).collect();
        let alive = kept.iter().filter(|chunk| chunk.strong_count() > 0).count();
        assert_eq!(alive, FOLLOWED_CHUNKS_KEPT_MAX);
    }
}
