//! Which ids are stored, and where.

use std::hash::BuildHasher as _;

use dashmap::{DashMap, SharedValue};
use oncelog::message::MessageId;

use crate::store::Address;

/// Address of every durable record by its id: 24 bytes of content a message.
///
/// It holds durable records only, so an id that is found here may be answered "stored". Handlers read it
/// from many threads; the committer alone writes it, after each commit. Every call copies what it returns:
/// no guard of the map ever leaves this file.
///
/// In a long log, each id is somewhere in memory that is in no cache. Looking for many under locks that
/// are taken once lets the processor fetch several at once, which a lock for each would prevent. A single
/// look-up meanwhile waits, also while a shard grows, which moves all that is in it.
#[derive(Debug, Default)]
pub struct Index(DashMap<MessageId, Address>);

impl Index {
    /// Where the record with `id` is, if it is durable.
    pub fn get(&self, id: &MessageId) -> Option<Address> {
        self.0.get(id).map(|address| *address)
    }

    /// The same for each of `ids`, in order.
    pub fn get_all<'a>(
        &self,
        ids: impl ExactSizeIterator<Item = &'a MessageId>,
    ) -> Vec<Option<Address>> {
        if !self.are_many(ids.len()) {
            return ids.map(|id| self.get(id)).collect();
        }
        let hashed: Vec<_> = ids.map(|id| (self.hash(id), id)).collect();
        // Lock order: by number of the shard, here and below.
        let shards: Vec<_> = self.0.shards().iter().map(|shard| shard.read()).collect();
        let find = |(hash, id): (u64, &MessageId)| {
            let shard = &shards[self.0.determine_shard(hash as usize)];
            shard.get(hash, |(known, _)| known == id).map(|(_, address)| *address.get())
        };
        hashed.into_iter().map(find).collect()
    }

    /// Publishes a durable record. Returns the address already known for `id`, if there was one;
    /// then the store holds an id twice.
    pub fn insert(&self, id: MessageId, address: Address) -> Option<Address> {
        self.0.insert(id, address)
    }

    /// Publishes many. Returns how many of the ids were known already.
    pub fn insert_all(
        &self,
        records: impl ExactSizeIterator<Item = (MessageId, Address)>,
    ) -> usize {
        if !self.are_many(records.len()) {
            return records.filter(|(id, address)| self.insert(*id, *address).is_some()).count();
        }
        let hashed: Vec<_> = records.map(|(id, address)| (self.hash(&id), id, address)).collect();
        let mut shards: Vec<_> = self.0.shards().iter().map(|shard| shard.write()).collect();
        let mut known_already = 0;
        for (hash, id, address) in hashed {
            let shard = &mut shards[self.0.determine_shard(hash as usize)];
            match shard.get_mut(hash, |(known, _)| *known == id) {
                Some((_, known)) => {
                    *known.get_mut() = address;
                    known_already += 1;
                }
                None => {
                    let record = (id, SharedValue::new(address));
                    shard.insert(hash, record, |(id, _)| self.hash(id));
                }
            }
        }
        known_already
    }

    fn hash(&self, id: &MessageId) -> u64 {
        self.0.hasher().hash_one(id)
    }

    /// Whether it is worth to take the locks of all shards for so many ids.
    fn are_many(&self, ids: usize) -> bool {
        ids >= self.0.shards().len()
    }

    /// How many records are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use oncelog::message::{IdSource as _, RandomIds};

    use super::*;

    #[test]
    fn many_ids_at_a_time_and_one_by_one_find_the_same() {
        let index = Index::default();
        let many = index.0.shards().len();
        let ids: Vec<_> = (0..10 * many).map(|_| RandomIds.next_id()).collect();
        let (stored, strangers) = ids.split_at(7 * many);
        let (first, few) = stored.split_at(6 * many);
        let numbered = |ids: &[MessageId], first| {
            let records: Vec<_> = ids.iter().copied().zip((first..).map(Address)).collect();
            records.into_iter()
        };
        assert_eq!(index.insert_all(numbered(first, 0)), 0);
        assert_eq!(index.insert_all(numbered(first, 0)), first.len());
        assert_eq!(index.insert_all(numbered(&first[..1], 0)), 1);
        for (id, address) in numbered(few, first.len() as u64) {
            assert_eq!(index.insert(id, address), None);
        }
        assert_eq!(index.len(), stored.len());
        let expected: Vec<_> = (0..stored.len() as u64).map(|nth| Some(Address(nth))).collect();
        for at_a_time in [1, many - 1, many, ids.len()] {
            let found = ids.chunks(at_a_time).flat_map(|ids| index.get_all(ids.iter()));
            let expected = expected.iter().copied().chain(strangers.iter().map(|_| None));
            assert!(found.eq(expected), "{at_a_time} at a time");
        }
        assert_eq!(index.insert(stored[0], Address(7)), Some(Address(0)));
        assert_eq!((index.get(&stored[0]), index.len()), (Some(Address(7)), stored.len()));
    }
}
