//! Attempts to commit whose answers were lost, and which may be stored all the same.

use std::collections::HashMap;

use oncelog::message::{Message, MessageId};

/// Ids that are remembered while the store gives no answers. Past this, any id may be one of theirs.
const IDS_MAX: usize = 64 * 1024;

/// What such attempts may have stored. They outlive their calls: they are settled once the store has read
/// on, or has stored a later batch.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// The ids in these attempts, each with the number of the group that sent it first.
    ids: HashMap<MessageId, u64>,
    /// The number of the group at hand.
    group: u64,
}

impl Doubt {
    pub(super) fn begin_group(&mut self) {
        self.group += 1;
    }

    /// Whether there is such an attempt.
    pub(super) fn exists(&self) -> bool {
        !self.ids.is_empty()
    }

    /// Whether such an attempt may have stored a message with `id`.
    pub(super) fn may_hold(&self, id: &MessageId) -> bool {
        self.ids.contains_key(id) || self.ids.len() >= IDS_MAX
    }

    /// The answer to an attempt of the group at hand to commit `batch` was lost.
    pub(super) fn add(&mut self, batch: &[Message]) {
        if self.ids.len() < IDS_MAX {
            for message in batch {
                self.ids.entry(message.id).or_insert(self.group);
            }
        }
    }

    /// Of `stored`, which the store has read as a batch of its own: the ids that the group at hand sent
    /// first. They are none unless that is the `batch` that the group has tried to commit.
    pub(super) fn landed(
        &self,
        batch: &[Message],
        stored: &[Message],
    ) -> impl Iterator<Item = MessageId> {
        let is_attempt = stored.iter().map(|one| one.id).eq(batch.iter().map(|one| one.id));
        let landed = if is_attempt { batch } else { &[] };
        let ids = landed.iter().map(|message| message.id);
        ids.filter(|id| self.ids.get(id) == Some(&self.group))
    }

    /// A batch is stored that comes after all attempts, or is one of them: the others never will be.
    pub(super) fn settle(&mut self) {
        self.ids = HashMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;

    fn batch(messages: usize) -> Vec<Message> {
        (0..messages).map(|_| message("x")).collect()
    }

    #[test]
    fn an_own_batch_that_is_not_the_attempt_has_not_landed() {
        let (mut doubt, batch) = (Doubt::default(), batch(3));
        doubt.begin_group();
        doubt.add(&batch);
        assert_eq!(doubt.landed(&batch, &batch).count(), 3);
        let turned: Vec<_> = batch.iter().rev().cloned().collect();
        for other in [&batch[..2], &batch[1..], &turned] {
            assert_eq!(doubt.landed(&batch, other).count(), 0);
        }
        doubt.begin_group();
        assert_eq!(doubt.landed(&batch, &batch).count(), 0, "an earlier group sent it");
        doubt.settle();
        doubt.add(&batch);
        assert_eq!(doubt.landed(&batch, &batch).count(), 3);
    }

    #[test]
    fn past_the_bound_any_message_is_in_doubt() {
        let (mut doubt, batch, other) = (Doubt::default(), batch(IDS_MAX), batch(2));
        doubt.add(&batch[1..]);
        assert!(doubt.may_hold(&batch[1].id) && !doubt.may_hold(&other[0].id));
        doubt.add(&batch);
        doubt.add(&other[..1]);
        assert!(doubt.may_hold(&other[0].id) && doubt.may_hold(&other[1].id));
        assert_eq!(doubt.ids.len(), IDS_MAX, "no more are remembered");
        doubt.settle();
        assert!(!doubt.exists() && !doubt.may_hold(&batch[0].id));
    }
}
