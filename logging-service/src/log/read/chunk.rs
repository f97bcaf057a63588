//! A piece of the log, which many readers may share.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use oncelog::message::{StoredMessage, StreamName};

/// A chunk for a follower counts as this many bytes more: waking one up, on both sides, takes as long as
/// sending these.
const CHUNK_COST_BYTES: u64 = 32 * 1024;

/// A message for a follower counts as this many bytes more than its body: what is around it on the wire.
const MESSAGE_COST_BYTES: u64 = 80;

/// What it costs to send a chunk of so many messages, in bytes.
pub(super) fn cost_bytes(messages: u64, body_bytes: u64) -> u64 {
    CHUNK_COST_BYTES + body_bytes + messages * MESSAGE_COST_BYTES
}

/// Records in log order, and how far they reach.
#[derive(Debug, Default)]
pub struct Chunk {
    records: Vec<StoredMessage>,
    /// The last sequence that was looked at; those after the last record were not wanted.
    end: u64,
    encoded: OnceLock<Bytes>,
}

impl Chunk {
    /// What was found up to `end`, without records of other streams than `only`.
    pub(super) fn new(
        mut records: Vec<StoredMessage>,
        end: u64,
        only: Option<&StreamName>,
    ) -> Self {
        records.retain(|record| only.is_none_or(|only| *only == record.message.stream));
        Self { records, end, encoded: OnceLock::new() }
    }

    /// The records.
    pub fn records(&self) -> &[StoredMessage] {
        &self.records
    }

    /// What `encode` makes of the records. It is called once for all that share a chunk, so they all have to
    /// ask for the same encoding.
    pub fn encoded(&self, encode: impl FnOnce(&[StoredMessage]) -> Bytes) -> Bytes {
        self.encoded.get_or_init(|| encode(&self.records)).clone()
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// What sending it costs, in bytes.
    pub(super) fn cost_bytes(&self) -> u64 {
        let body_bytes: usize = self.records.iter().map(|record| record.message.body.len()).sum();
        cost_bytes(self.records.len() as u64, body_bytes as u64)
    }

    /// The part of it after `after`, up to `end`, and of `left` records at most. It is the same chunk
    /// if that is all of it.
    pub(super) fn part(self: Arc<Self>, after: u64, end: u64, left: u64) -> Arc<Self> {
        let sequence = |record: &StoredMessage| record.receipt.sequence;
        let from = self.records.partition_point(|record| sequence(record) <= after);
        let to = self.records.partition_point(|record| sequence(record) <= end);
        let to = usize::try_from(left).map_or(to, |left| to.min(from.saturating_add(left)));
        if (from, to) == (0, self.records.len()) {
            return self;
        }
        let records = self.records.get(from..to).unwrap_or_default().to_vec();
        Arc::new(Self { records, end: self.end, encoded: OnceLock::new() })
    }
}
