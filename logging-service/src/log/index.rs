//! Which ids are stored, and where.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use hashbrown::{HashTable, hash_table::Entry};
use oncelog::message::MessageId;

use crate::store::Position;

/// So many parts grow one after the other, and not all in one pause.
const SHARDS: usize = 64;

/// From so many ids on, the locks of all shards are taken once.
const MANY: usize = SHARDS;

/// The bits of a hash that choose a shard: within one, its map looks at the highest and at the lowest.
const SHARD_SHIFT: u32 = 48;

type Shard = HashTable<(MessageId, Position)>;

/// Position of every durable record by its id: 24 bytes of content a message.
///
/// It holds durable records only, so whoever finds an id here may answer "stored". Handlers read it
/// from many threads; the journal thread alone writes it, after each commit. Every call copies what
/// it returns: no guard ever leaves this file.
///
/// In a long log, each id is somewhere in memory that is in no cache. Looking for many at a time lets
/// the processor fetch several at once, which waits for a lock between them would prevent.
#[derive(Debug)]
pub struct Index {
    /// Keyed at random, so that nobody can choose ids that all go to one place.
    hasher: RandomState,
    /// Locked in ascending order where more than one is.
    shards: Box<[RwLock<Shard>]>,
}

impl Default for Index {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { hasher: RandomState::new(), shards }
    }
}

impl Index {
    /// Where the record with `id` is, if it is durable.
    pub fn get(&self, id: &MessageId) -> Option<Position> {
        let hash = self.hasher.hash_one(id);
        find(&self.read(shard_of(hash)), hash, id)
    }

    /// The same for each of `ids`, in order.
    pub fn get_all<'a>(
        &self,
        ids: impl ExactSizeIterator<Item = &'a MessageId>,
    ) -> Vec<Option<Position>> {
        if ids.len() < MANY {
            return ids.map(|id| self.get(id)).collect();
        }
        let hashed: Vec<_> = ids.map(|id| (self.hasher.hash_one(id), id)).collect();
        let shards: Vec<_> = (0..SHARDS).map(|shard| self.read(shard)).collect();
        hashed.into_iter().map(|(hash, id)| find(&shards[shard_of(hash)], hash, id)).collect()
    }

    /// Publishes a durable record. Returns the position already known for `id`, if there was one;
    /// then the store holds an id twice.
    pub fn insert(&self, id: MessageId, position: Position) -> Option<Position> {
        let hash = self.hasher.hash_one(id);
        self.put(&mut self.write(shard_of(hash)), hash, id, position)
    }

    /// Publishes many.
    pub fn insert_all(&self, records: impl ExactSizeIterator<Item = (MessageId, Position)>) {
        if records.len() < MANY {
            for (id, position) in records {
                self.insert(id, position);
            }
            return;
        }
        let hashed: Vec<_> =
            records.map(|(id, position)| (self.hasher.hash_one(id), id, position)).collect();
        let mut shards: Vec<_> = (0..SHARDS).map(|shard| self.write(shard)).collect();
        for (hash, id, position) in hashed {
            self.put(&mut shards[shard_of(hash)], hash, id, position);
        }
    }

    fn put(
        &self,
        shard: &mut Shard,
        hash: u64,
        id: MessageId,
        position: Position,
    ) -> Option<Position> {
        match shard.entry(hash, |(known, _)| *known == id, |(id, _)| self.hasher.hash_one(id)) {
            Entry::Occupied(mut entry) => Some(std::mem::replace(&mut entry.get_mut().1, position)),
            Entry::Vacant(entry) => {
                entry.insert((id, position));
                None
            }
        }
    }

    /// How many records are known.
    pub fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.read(shard).len()).sum()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[shard].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard].write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shard_of(hash: u64) -> usize {
    (hash >> SHARD_SHIFT) as usize % SHARDS
}

fn find(shard: &Shard, hash: u64, id: &MessageId) -> Option<Position> {
    shard.find(hash, |(known, _)| known == id).map(|(_, position)| *position)
}

#[cfg(test)]
mod tests {
    use oncelog::message::{IdSource as _, RandomIds};

    use super::*;

    #[test]
    fn many_ids_at_a_time_and_one_by_one_find_the_same() {
        let index = Index::default();
        let ids: Vec<_> = (0..10 * MANY).map(|_| RandomIds.next_id()).collect();
        let (stored, strangers) = ids.split_at(7 * MANY);
        let (many, few) = stored.split_at(6 * MANY);
        let numbered = |ids: &[MessageId], first| {
            let records: Vec<_> = ids.iter().copied().zip((first..).map(Position)).collect();
            records.into_iter()
        };
        index.insert_all(numbered(many, 0));
        for (id, position) in numbered(few, many.len() as u64) {
            assert_eq!(index.insert(id, position), None);
        }
        assert_eq!(index.len(), stored.len());
        let expected: Vec<_> = (0..stored.len() as u64).map(|nth| Some(Position(nth))).collect();
        for at_a_time in [1, MANY - 1, MANY, ids.len()] {
            let found = ids.chunks(at_a_time).flat_map(|ids| index.get_all(ids.iter()));
            let expected = expected.iter().copied().chain(strangers.iter().map(|_| None));
            assert!(found.eq(expected), "{at_a_time} at a time");
        }
        assert_eq!(index.insert(stored[0], Position(7)), Some(Position(0)));
        assert_eq!((index.get(&stored[0]), index.len()), (Some(Position(7)), stored.len()));
    }
}
