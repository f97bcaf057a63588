//! How much may wait: the queue is bounded by time.
//!
//! A queue that is bounded by its length alone turns overload into delay: it fills up, stays full, and
//! every message that is accepted waits for all of it. A longer wait stores nothing more, since the
//! logging service is busy either way. So a message is refused on arrival, before anything is done with
//! it, when those ahead of it already take as long as they should.
//!
//! What is measured is the time of one batch, from request to receipts: a full one, or on a way too slow
//! for full ones as much as an attempt carries. From it follows how many
//! batches may wait: as many as are stored within [`QUEUE_WAIT_MAX`], and never fewer than
//! [`QUEUE_BATCHES_MIN`], which keep the logging service busy however slow it is. So an accepted message
//! waits for at most that time, or for that many batches where the disk is slow. The first
//! [`QUEUE_MESSAGES_MIN`] are never refused: where messages are large, so few would fill the room, and a
//! handful of clients that wait for their answers is no overload.
//!
//! An outage is not overload. While no batch is stored at all, messages wait as many as the queue holds
//! and as long as their total timeout allows, and a restart of the logging service refuses nobody. The
//! difference is whether batches come back: [`Room::is_outage`]. An attempt that failed tells it at once,
//! and silence after a while. What has gathered when the outage is
//! over stays welcome: the room then shrinks with the queue, a quarter as fast as batches are taken, so
//! that clients who load the log to less than three quarters are still not refused, and a crowd that
//! would keep the queue long is.

use std::time::Duration;

use tokio::time::Instant;

use oncelog::limits::{
    ATTEMPT_TIMEOUT, BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, GATHER_BYTES_MAX, GATHER_MESSAGES_MAX,
    OUTAGE_BATCH_TIMES, OUTAGE_DELAY_MIN, QUEUE_BATCHES_MIN, QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX,
    QUEUE_MESSAGES_MIN, QUEUE_WAIT_MAX,
};

/// The most batches that fit the queue.
const QUEUE_BATCHES_MAX: usize = QUEUE_MESSAGES_MAX / BATCH_MESSAGES_MAX;

/// Some messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Amount {
    pub(super) messages: usize,
    pub(super) body_bytes: usize,
}

impl Amount {
    /// What the queue holds at most, overloaded or not.
    pub(super) const QUEUE: Self =
        Self { messages: QUEUE_MESSAGES_MAX, body_bytes: QUEUE_BYTES_MAX };

    /// What one batch holds at most.
    pub(super) const BATCH: Self =
        Self { messages: BATCH_MESSAGES_MAX, body_bytes: BATCH_BYTES_MAX };

    /// What need not gather any more before it is sent.
    pub(super) const GATHERED: Self =
        Self { messages: GATHER_MESSAGES_MAX, body_bytes: GATHER_BYTES_MAX };

    /// What fits `count` of these batches, and the queue.
    fn of_batches(count: usize, batch: Self) -> Self {
        Self {
            messages: (count * batch.messages).min(QUEUE_MESSAGES_MAX),
            body_bytes: (count * batch.body_bytes).min(QUEUE_BYTES_MAX),
        }
    }

    pub(super) fn add(&mut self, body_bytes: usize) {
        self.messages += 1;
        self.body_bytes += body_bytes;
    }

    pub(super) fn remove(&mut self, body_bytes: usize) {
        self.messages -= 1;
        self.body_bytes -= body_bytes;
    }

    /// Whether a message of `body_bytes` may come in addition.
    pub(super) fn has_room(self, within: Self, body_bytes: usize) -> bool {
        self.messages < within.messages && self.body_bytes + body_bytes <= within.body_bytes
    }

    /// Whether it is as many messages as `other`, or as many bytes.
    pub(super) fn reaches(self, other: Self) -> bool {
        self.messages >= other.messages || self.body_bytes >= other.body_bytes
    }

    /// Whether it is at least twice as much as `other`, in messages and in bytes.
    pub(super) fn is_twice(self, other: Self) -> bool {
        self.messages >= 2 * other.messages && self.body_bytes >= 2 * other.body_bytes
    }

    /// How many times as much work as `other` it is, at least once. Each batch is some work, however
    /// small it is: a sixteenth of the largest.
    fn times(self, other: Self) -> u32 {
        let times =
            |this: usize, other: usize, full: usize| (this + full / 16) / (other + full / 16);
        let messages = times(self.messages, other.messages, BATCH_MESSAGES_MAX);
        let bytes = times(self.body_bytes, other.body_bytes, BATCH_BYTES_MAX);
        u32::try_from(messages.max(bytes).max(1)).unwrap_or(u32::MAX)
    }

    /// Whether it is more than half of `other`, in messages or in bytes.
    pub(super) fn is_more_than_half(self, other: Self) -> bool {
        2 * self.messages > other.messages || 2 * self.body_bytes > other.body_bytes
    }

    /// How many batches of at most `batch` it takes to send it.
    fn batches(self, batch: Self) -> usize {
        let by_messages = self.messages.div_ceil(batch.messages.max(1));
        by_messages.max(self.body_bytes.div_ceil(batch.body_bytes.max(1)))
    }
}

/// What may wait at the moment.
#[derive(Debug)]
pub(super) struct Room {
    within: Amount,
    /// What one batch holds at most: on a slow way, less than it could.
    batch: Amount,
    /// The time of one batch, smoothed. None until one was stored.
    batch_time: Option<Duration>,
    /// The last batch that was stored, and the one that was sent last.
    stored: Amount,
    sent: Amount,
    /// Since when there were attempts and no receipts.
    owed_since: Option<Instant>,
    /// Whether one of them failed.
    failed: bool,
}

impl Default for Room {
    /// As long as nothing is known, only the limits of the queue apply.
    fn default() -> Self {
        Self {
            within: Amount::QUEUE,
            batch: Amount::BATCH,
            batch_time: None,
            stored: Amount::default(),
            sent: Amount::default(),
            owed_since: None,
            failed: false,
        }
    }
}

impl Room {
    /// Whether a message of `body_bytes` may wait behind `waiting` while batches are stored.
    pub(super) fn has_room(&self, waiting: Amount, body_bytes: usize) -> bool {
        waiting.messages < QUEUE_MESSAGES_MIN || waiting.has_room(self.within, body_bytes)
    }

    /// An attempt begins, with `sent`.
    pub(super) fn sent(&mut self, sent: Amount, now: Instant) {
        self.sent = sent;
        // After one that failed, the debt is older than this attempt.
        self.owed_since.get_or_insert(now);
    }

    /// An attempt brought no receipts.
    pub(super) fn failed(&mut self) {
        self.failed = true;
    }

    /// The batch `sent`, which could have been up to `batch`, was answered, in an attempt that `took` so
    /// long, and `waiting` is in the queue.
    pub(super) fn answered(
        &mut self,
        sent: Amount,
        batch: Amount,
        took: Duration,
        waiting: Amount,
    ) {
        (self.owed_since, self.failed) = (None, false);
        (self.stored, self.batch) = (sent, batch);
        let time = self.batch_time.map_or(took, |before| (before + took) / 2);
        self.batch_time = Some(time);
        let in_time = QUEUE_WAIT_MAX.as_nanos() / time.as_nanos().max(1);
        let in_time = usize::try_from(in_time).unwrap_or(usize::MAX);
        let batches = in_time.clamp(QUEUE_BATCHES_MIN, QUEUE_BATCHES_MAX);
        let calm = Amount::of_batches(batches, batch);
        // A batch is about to leave, and three quarters of it may come.
        let backlog = |waiting: usize, sent: usize| waiting.saturating_sub(sent / 4);
        self.within = Amount {
            messages: backlog(waiting.messages, sent.messages).max(calm.messages),
            body_bytes: backlog(waiting.body_bytes, sent.body_bytes).max(calm.body_bytes),
        };
    }

    /// An attempt that carried little because one before it had failed was answered, and `waiting` is in
    /// the queue. It says that the way is open, and nothing about how long a batch takes.
    pub(super) fn answered_in_part(&mut self, waiting: Amount) {
        (self.owed_since, self.failed) = (None, false);
        let backlog = |waiting: usize, batch: usize, within: usize| within.max(waiting + batch);
        self.within = Amount {
            messages: backlog(waiting.messages, BATCH_MESSAGES_MAX, self.within.messages),
            body_bytes: backlog(waiting.body_bytes, BATCH_BYTES_MAX, self.within.body_bytes),
        };
    }

    /// Whether no batch is stored, neither fast nor slowly.
    pub(super) fn is_outage(&self, now: Instant) -> bool {
        if self.failed {
            return true;
        }
        let batch_time = self.batch_time.unwrap_or_default();
        // On a slow link a larger batch takes longer: that is no outage either.
        let batch_time = batch_time.saturating_mul(self.sent.times(self.stored));
        let patience = batch_time.saturating_mul(OUTAGE_BATCH_TIMES);
        let patience = patience.clamp(OUTAGE_DELAY_MIN, ATTEMPT_TIMEOUT);
        self.owed_since.is_some_and(|since| now.saturating_duration_since(since) > patience)
    }

    /// How long it takes to store what is `waiting`, and the batch before it.
    pub(super) fn wait(&self, waiting: Amount) -> Duration {
        let batches = u32::try_from(waiting.batches(self.batch) + 1).unwrap_or(u32::MAX);
        self.batch_time.unwrap_or_default().saturating_mul(batches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: Amount = Amount { messages: BATCH_MESSAGES_MAX, body_bytes: 0 };

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn waiting(messages: usize) -> Amount {
        Amount { messages, body_bytes: 0 }
    }

    /// The batches that may wait once batches take `took`.
    fn batches_when(took: Duration) -> usize {
        let mut room = Room::default();
        room.answered(BATCH, Amount::BATCH, took, Amount::default());
        assert_eq!(room.within.messages / BATCH_MESSAGES_MAX, room.within.batches(Amount::BATCH));
        room.within.batches(Amount::BATCH)
    }

    #[test]
    fn the_slower_batches_are_the_fewer_may_wait_but_two_always_may() {
        assert_eq!(Room::default().within, Amount::QUEUE);
        assert_eq!(batches_when(Duration::ZERO), QUEUE_BATCHES_MAX);
        assert_eq!(batches_when(millis(10)), 5);
        assert_eq!(batches_when(millis(100)), QUEUE_BATCHES_MIN);
        assert_eq!(batches_when(millis(2_000)), QUEUE_BATCHES_MIN);
    }

    #[test]
    fn a_handful_of_large_messages_is_never_overload() {
        let mut room = Room::default();
        room.answered(BATCH, Amount::BATCH, millis(2_000), Amount::default());
        let large = |messages| Amount { messages, body_bytes: messages * BATCH_BYTES_MAX };
        assert!(room.has_room(large(QUEUE_MESSAGES_MIN - 1), BATCH_BYTES_MAX));
        assert!(!room.has_room(large(QUEUE_MESSAGES_MIN), BATCH_BYTES_MAX));
    }

    #[test]
    fn where_batches_are_small_fewer_messages_wait() {
        let mut room = Room::default();
        let batch = Amount { messages: 100, body_bytes: 10_000 };
        room.answered(batch, batch, millis(1_000), Amount::default());
        assert_eq!(room.within, Amount { messages: 200, body_bytes: 20_000 });
        assert_eq!(room.wait(waiting(200)), millis(3_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_is_out_for_several_times_its_usual_time_is_an_outage() {
        let mut room = Room::default();
        let start = Instant::now();
        room.sent(BATCH, start);
        room.answered(BATCH, Amount::BATCH, millis(200), Amount::default());
        assert!(!room.is_outage(start + millis(60_000)), "nothing is owed");
        let start = start + millis(60_000);
        room.sent(BATCH, start);
        assert!(!room.is_outage(start + millis(800)));
        assert!(room.is_outage(start + millis(801)));
        room.sent(BATCH, start + millis(15_000));
        assert!(room.is_outage(start + millis(15_001)), "the batch before it failed");
        room.answered(BATCH, Amount::BATCH, millis(200), Amount::default());
        assert!(!room.is_outage(start + millis(15_001)));
        room.answered(waiting(1), Amount::BATCH, millis(20), Amount::default());
        room.sent(BATCH, start);
        assert!(!room.is_outage(start + millis(1_700)), "a larger batch takes longer");
        assert!(room.is_outage(start + ATTEMPT_TIMEOUT + millis(1)));
    }

    #[test]
    fn a_backlog_is_let_go_a_quarter_as_fast_as_batches_are_taken() {
        let mut room = Room::default();
        for (backlog, within) in [(10_000, 9_744), (9_744, 9_488), (1_000, 2_048)] {
            room.answered(BATCH, Amount::BATCH, millis(100), waiting(backlog));
            assert_eq!(room.within.messages, within);
        }
        room.answered_in_part(waiting(10_000));
        assert_eq!(room.within.messages, 11_024, "the rest of the batch comes first");
    }

    #[test]
    fn the_wait_counts_every_batch_ahead() {
        let mut room = Room::default();
        assert_eq!(room.wait(waiting(5_000)), Duration::ZERO, "nothing is known");
        room.answered(BATCH, Amount::BATCH, millis(400), Amount::default());
        assert_eq!(room.wait(Amount::default()), millis(400));
        assert_eq!(room.wait(waiting(2 * BATCH_MESSAGES_MAX)), millis(1_200));
        let large = Amount { messages: 3, body_bytes: 3 * BATCH_BYTES_MAX };
        assert_eq!(room.wait(large), millis(1_600));
    }
}
