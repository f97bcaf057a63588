//! Which ids are stored, and where.

use dashmap::DashMap;
use oncelog::message::MessageId;

use crate::store::Position;

/// Position of every durable record by its id: 24 bytes of content a message.
///
/// It holds durable records only, so whoever finds an id here may answer "stored". Handlers read it
/// from many threads; the journal thread alone writes it, after each commit. Every call copies what
/// it returns: no guard of the map ever leaves this file.
#[derive(Debug, Default)]
pub struct Index(DashMap<MessageId, Position>);

impl Index {
    /// Where the record with `id` is, if it is durable.
    pub fn get(&self, id: &MessageId) -> Option<Position> {
        self.0.get(id).map(|position| *position)
    }

    /// Publishes a durable record. Returns the position already known for `id`, if there was one;
    /// then the store holds an id twice.
    pub fn insert(&self, id: MessageId, position: Position) -> Option<Position> {
        self.0.insert(id, position)
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
