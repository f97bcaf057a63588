//! The one path by which a committed batch becomes known, be it the log's own or another writer's.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use oncelog::message::Message;
use tokio::sync::watch;

use super::index::Index;
use crate::{console::Console, store::Committed};

/// Sequence of the last durable record. It goes up before the ids of a batch become known, and the published
/// last sequence after it: so no receipt, and no record that was read or looked up, is ever ahead of it.
#[derive(Debug, Clone)]
pub(in crate::log) struct DurableSequence(Arc<AtomicU64>);

impl DurableSequence {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, sequence: u64) {
        self.0.store(sequence, Ordering::Release);
    }
}

/// Those that learn of a committed batch: the index, followers and reads, and the console.
pub(super) struct Apply {
    index: Arc<Index>,
    last: u64,
    durable_sequence: DurableSequence,
    last_sequence: watch::Sender<u64>,
    console: Console,
}

impl Apply {
    /// For a log whose records, up to the one with the sequence `last`, are all in `index`.
    pub(super) fn new(index: Arc<Index>, last: u64, console: Console) -> Self {
        let durable_sequence = DurableSequence(Arc::new(AtomicU64::new(last)));
        Self { index, last, durable_sequence, last_sequence: watch::Sender::new(last), console }
    }

    /// Sequence of the last record that was published, and a way to wait for more.
    pub(super) fn last_sequence(&self) -> watch::Receiver<u64> {
        self.last_sequence.subscribe()
    }

    pub(super) fn durable_sequence(&self) -> DurableSequence {
        self.durable_sequence.clone()
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Makes the ids of a durable batch known and lets reads and followers go up to its end.
    ///
    /// # Panics
    /// If the batch does not continue the log, or an id of it is stored already. Nothing of the batch may
    /// be acknowledged then, and reads and followers do not go up to it. In the first case the index is as
    /// it was; an id that is stored already is noticed while the ids become known, so in the second case
    /// the index may point to the batch.
    pub(super) fn publish(&mut self, committed: &Committed, messages: &[Message]) {
        let (first, addresses) = (committed.first_sequence, &committed.addresses);
        assert_eq!(first, self.last + 1, "the store has left out or repeated sequences");
        assert_eq!(addresses.len(), messages.len(), "one address for each record of a batch");
        self.durable_sequence.set(self.last + messages.len() as u64);
        let ids = messages.iter().map(|message| message.id);
        let stored_twice = self.index.insert_all(ids.zip(addresses.iter().copied()));
        assert_eq!(stored_twice, 0, "ids of a batch were stored already");
        self.last += messages.len() as u64;
        self.last_sequence.send_replace(self.last);
    }

    /// Shows a published batch on the console. For an own batch this comes after the answers, which it
    /// must not hold up.
    pub(super) fn show(&self, messages: &[Message]) {
        self.console.show(messages);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::{store::Address, testing::message};

    fn batch(messages: usize) -> Vec<Message> {
        (0..messages).map(|_| message("x")).collect()
    }

    fn committed(first_sequence: u64, addresses: u64) -> Committed {
        Committed { first_sequence, addresses: (0..addresses).map(Address).collect() }
    }

    #[test]
    fn a_batch_that_breaks_the_contract_of_a_store_is_not_published() {
        let mut apply = Apply::new(Arc::default(), 7, Console::off());
        let first = batch(2);
        apply.publish(&committed(8, 2), &first);
        assert_eq!((*apply.last_sequence().borrow(), apply.index().len()), (9, 2));
        assert_eq!(apply.durable_sequence().get(), 9);
        for (wrong, messages) in [
            (committed(9, 1), batch(1)),
            (committed(11, 1), batch(1)),
            (committed(10, 1), batch(2)),
            (committed(10, 2), first),
        ] {
            let publish = || apply.publish(&wrong, &messages);
            assert!(catch_unwind(AssertUnwindSafe(publish)).is_err(), "{wrong:?}");
            assert_eq!((*apply.last_sequence().borrow(), apply.index().len()), (9, 2));
        }
        // The ids of the last batch became known, and nothing that they lead to is ahead of the log.
        assert_eq!(apply.durable_sequence().get(), 11);
    }
}
