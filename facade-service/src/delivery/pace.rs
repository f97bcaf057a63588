//! How much one attempt carries.
//!
//! On a link or a disk so slow that a full batch takes longer than an attempt may, full batches would
//! never get through: each would time out and be sent again. So an attempt without receipts is followed
//! by one with a single message, and every answer says how much the next attempt may carry: as many
//! times more as keep it within half of the attempt timeout, and at most [`PACE_GROWTH_MAX`] times.
//!
//! A disk whose sync takes most of an attempt takes as long for one message as for a full batch. So what
//! a call takes however little it carries does not count, as soon as it is known: by comparing attempts
//! of different size.

use std::time::Duration;

use oncelog::limits::{
    BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, PACE_DOUBLED_BYTES_MAX, PACE_GROWTH_MAX,
};

use super::room::Amount;

/// What the next attempt may carry. A single message always goes.
#[derive(Debug)]
pub(super) struct Pace {
    within: Amount,
    /// Whether the last attempt brought no receipts.
    failed: bool,
    /// Whether more than this would take too long.
    is_most: bool,
    /// Since then.
    answered: Option<Answered>,
}

/// What the answers since a failure say.
#[derive(Debug)]
struct Answered {
    /// What the first one was for.
    first: Amount,
    /// The shortest time that one took: however little a call carries, it takes about this.
    least: Duration,
}

impl Default for Pace {
    /// As long as nothing has failed, a full batch.
    fn default() -> Self {
        Self { within: Amount::BATCH, failed: false, is_most: false, answered: None }
    }
}

impl Pace {
    /// An attempt brought no receipts.
    pub(super) fn failed(&mut self) {
        let within = Amount { messages: 1, body_bytes: 0 };
        *self = Self { within, failed: true, is_most: false, answered: None };
    }

    /// Whether one message has to go ahead, because the last attempt brought no receipts.
    pub(super) fn sends_one_ahead(&self) -> bool {
        self.failed
    }

    /// An attempt with `sent` brought receipts after `took`, of `attempt_timeout`. Returns whether the next
    /// one may carry more.
    pub(super) fn answered(
        &mut self,
        sent: Amount,
        took: Duration,
        attempt_timeout: Duration,
    ) -> bool {
        self.failed = false;
        let growth = self.growth(sent, took, attempt_timeout);
        // A small attempt says nothing about a larger one.
        if sent.is_more_than_half(self.within) {
            self.is_most = growth == 1;
        }
        let grown = |within: usize, sent: usize, most: usize| within.max(sent * growth).min(most);
        let next = Amount {
            messages: grown(self.within.messages, sent.messages, BATCH_MESSAGES_MAX),
            body_bytes: grown(self.within.body_bytes, sent.body_bytes, BATCH_BYTES_MAX),
        };
        std::mem::replace(&mut self.within, next) != next
    }

    /// What a batch is here at most.
    pub(super) fn batch(&self) -> Amount {
        if self.is_most { self.within } else { Amount::BATCH }
    }

    /// How many times as much as `sent` the next attempt may carry.
    fn growth(&mut self, sent: Amount, took: Duration, timeout: Duration) -> usize {
        let answered = self.answered.get_or_insert(Answered { first: sent, least: took });
        answered.least = answered.least.min(took);
        let known = if sent.is_twice(answered.first) {
            let left = timeout.saturating_sub(answered.least) / 2;
            times(left, took - answered.least)
        } else if took <= timeout * 3 / 8 || sent.body_bytes <= PACE_DOUBLED_BYTES_MAX {
            // Nothing is known yet. Twice as much still fits, or is little, and tells more.
            2
        } else {
            1
        };
        known.max(times(timeout / 2, took)).clamp(1, PACE_GROWTH_MAX)
    }

    /// How many of the messages that have so many body bytes belong to the next batch: as many as an
    /// attempt carries, one at least if there is one. Behind one that goes ahead, a full batch waits for
    /// its end.
    pub(super) fn fits(&self, body_bytes: impl Iterator<Item = usize>) -> usize {
        let within = if self.failed { Amount::BATCH } else { self.within };
        let mut carried = Amount::default();
        for size in body_bytes {
            // A single message always goes, whatever its size: nothing may block the line.
            if carried.messages > 0 && !carried.has_room(within, size) {
                break;
            }
            carried.add(size);
        }
        carried.messages
    }
}

/// How often `part` fits into `whole`.
fn times(whole: Duration, part: Duration) -> usize {
    usize::try_from(whole.as_nanos() / part.as_nanos().max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);

    /// How many messages of so many bytes the next attempt carries.
    fn carried(pace: &Pace, body_bytes: usize) -> usize {
        let batch = pace.fits(std::iter::repeat_n(body_bytes, 10_000));
        if pace.sends_one_ahead() { 1 } else { batch }
    }

    /// Attempts with messages of so many bytes, each of which takes `took` of what it carries: how many
    /// each carries after one that failed.
    fn carried_each(body_bytes: usize, took: impl Fn(u32) -> Duration) -> Vec<usize> {
        let mut pace = Pace::default();
        pace.failed();
        let attempt = |_| {
            let messages = carried(&pace, body_bytes);
            let sent = Amount { messages, body_bytes: body_bytes * messages };
            let took = took(u32::try_from(messages).unwrap());
            if took < TIMEOUT {
                pace.answered(sent, took, TIMEOUT);
            } else {
                pace.failed();
            }
            messages
        };
        (0..20).map(attempt).collect()
    }

    #[test]
    fn a_batch_is_full_until_an_attempt_fails_and_soon_again_on_a_fast_way() {
        let pace = Pace::default();
        assert_eq!(carried(&pace, 10), BATCH_MESSAGES_MAX);
        assert_eq!(carried(&pace, BATCH_BYTES_MAX / 4), 4);
        let carried = carried_each(10, |_| Duration::from_millis(1));
        assert_eq!(carried[..6], [1, 8, 64, 512, BATCH_MESSAGES_MAX, BATCH_MESSAGES_MAX]);
    }

    #[test]
    fn one_message_goes_ahead_of_a_full_batch() {
        let mut pace = Pace::default();
        pace.failed();
        assert!(pace.sends_one_ahead());
        assert_eq!(pace.fits(std::iter::repeat_n(10, 10_000)), BATCH_MESSAGES_MAX);
    }

    #[test]
    fn on_a_slow_way_an_attempt_grows_to_half_of_its_timeout_and_no_further() {
        let carried = carried_each(1_000, |messages| Duration::from_millis(50) * messages);
        assert_eq!(carried[..4], [1, 8, 16, 16]);
        assert_eq!(carried[19], 16);
        let carried = carried_each(BATCH_BYTES_MAX / 8, |messages| TIMEOUT * messages / 2);
        assert_eq!(carried, [1; 20], "not even two get through in time");
    }

    #[test]
    fn what_takes_as_long_for_little_as_for_much_is_sent_in_full_batches() {
        for millis in [500, 1_000, 1_500, 1_900] {
            let carried = carried_each(100, |messages| {
                Duration::from_millis(millis) + Duration::from_micros(messages.into())
            });
            assert_eq!(carried[8], BATCH_MESSAGES_MAX, "{millis} ms: {carried:?}");
        }
    }
}
