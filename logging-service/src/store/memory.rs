//! A store in memory, for trying things out and for comparing. A restart forgets everything.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use oncelog::message::{Message, Receipt, StoredMessage};

use super::{
    Address, CommitAnswer, CommitError, Committed, Damage, ReadError, Reader, ScanLimit, Store,
};

/// Keeps records in a vector; the address of a record is its index there.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Arc<Records>,
}

#[derive(Debug, Default)]
struct Records(RwLock<Vec<StoredMessage>>);

impl Store for MemoryStore {
    fn commit(&mut self, batch: &[Message], stored_at: SystemTime) -> CommitAnswer {
        let mut records = self.records.0.write().unwrap_or_else(PoisonError::into_inner);
        let first_index = records.len() as u64;
        records.extend((1..).zip(batch).map(|(nth, message)| StoredMessage {
            receipt: Receipt { sequence: first_index + nth, stored_at },
            message: message.clone(),
        }));
        CommitAnswer::Stored(Committed {
            first_sequence: first_index + 1,
            addresses: (first_index..records.len() as u64).map(Address).collect(),
        })
    }

    fn seal(&mut self) -> Result<(), CommitError> {
        Ok(())
    }

    fn probe_space(&mut self) -> Result<(), CommitError> {
        Ok(())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::<Records>::clone(&self.records)
    }

    fn last_sequence(&self) -> u64 {
        self.records.0.read().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}

impl Reader for Records {
    fn get(&self, address: Address) -> Result<StoredMessage, ReadError> {
        let records = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = usize::try_from(address.0).ok().and_then(|index| records.get(index)).cloned();
        let missing = || Damage::new("memory", address.0, "no record there");
        found.ok_or_else(|| ReadError::Damaged(missing()))
    }

    fn scan(&self, after: u64, limit: ScanLimit) -> Result<Vec<StoredMessage>, ReadError> {
        let records = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(after).unwrap_or(usize::MAX).min(records.len());
        let mut bytes_left = limit.bytes;
        Ok(records[start..]
            .iter()
            .take(limit.messages)
            .take_while(|record| {
                let fits = bytes_left > 0;
                bytes_left = bytes_left.saturating_sub(record.message.body.len().max(1));
                fits
            })
            .cloned()
            .collect())
    }
}
