//! A piece of the log, which many readers may share.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use oncelog::{
    limits::{FOLLOWED_CHUNK_COST_BYTES, FOLLOWED_MESSAGE_COST_BYTES},
    message::{StoredMessage, StreamName},
};

/// Records in log order, and how far they reach.
#[derive(Debug, Default)]
pub struct Chunk {
    records: Vec<StoredMessage>,
    /// The last sequence that was looked at; those after the last record were not wanted.
    upto: u64,
    rendered: OnceLock<Bytes>,
}

impl Chunk {
    /// What was found up to `upto`, without records of other streams than `only`.
    pub(super) fn new(
        mut records: Vec<StoredMessage>,
        upto: u64,
        only: Option<&StreamName>,
    ) -> Self {
        records.retain(|record| only.is_none_or(|only| *only == record.message.stream));
        Self { records, upto, rendered: OnceLock::new() }
    }

    /// The records.
    pub fn records(&self) -> &[StoredMessage] {
        &self.records
    }

    /// What `render` makes of the records. It is called once, whoever asks first, so all who share a
    /// chunk ask for the same.
    pub fn rendered(&self, render: impl FnOnce(&[StoredMessage]) -> Bytes) -> Bytes {
        self.rendered.get_or_init(|| render(&self.records)).clone()
    }

    pub(super) fn upto(&self) -> u64 {
        self.upto
    }

    /// What sending it costs, in bytes.
    pub(super) fn cost_bytes(&self) -> u64 {
        let bodies: usize = self.records.iter().map(|record| record.message.body.len()).sum();
        let around = self.records.len() as u64 * FOLLOWED_MESSAGE_COST_BYTES;
        FOLLOWED_CHUNK_COST_BYTES + bodies as u64 + around
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
        Arc::new(Self { records, upto: self.upto, rendered: OnceLock::new() })
    }
}
