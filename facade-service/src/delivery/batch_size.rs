//! Adaptive batch size: how much one call carries.
//!
//! On a link or a disk so slow that a full call takes longer than an attempt may, full calls would never
//! get through: each would time out and be sent again. So an attempt without receipts is followed by a
//! probe, a single message (half-open), and every answer says how much the next attempt may carry (slow
//! start): as many times more as keep it within half of the attempt timeout, and at most [`GROWTH_MAX`]
//! times.
//!
//! A disk whose sync takes most of an attempt takes as long for one message as for a full call. So the
//! fixed time of a call is subtracted as soon as it is known: by comparing attempts of different size.

use std::time::Duration;

use super::amount::Amount;

/// How many times more than the last one an attempt may carry, after one that brought no receipts.
const GROWTH_MAX: usize = 8;

/// Up to this many bytes an attempt doubles however long the one before took. On a link that takes longer
/// than an attempt may for so little, nothing would get through.
const DOUBLED_BYTES_MAX: usize = 16 * 1024;

/// What the next attempt may carry. A single message always goes.
#[derive(Debug)]
pub(super) struct BatchSize {
    attempt_timeout: Duration,
    limit: Amount,
    /// Whether the last attempt brought no receipts.
    failed: bool,
    /// Whether more than `limit` would take too long.
    is_largest: bool,
    /// What the answers since then say.
    baseline: Option<Baseline>,
}

/// What the answers since a failure say.
#[derive(Debug)]
struct Baseline {
    /// What the first one was for.
    first: Amount,
    /// The shortest time that one took: however little a call carries, it takes about this.
    shortest: Duration,
}

impl BatchSize {
    /// As long as nothing has failed, a full call.
    pub(super) fn new(attempt_timeout: Duration) -> Self {
        let limit = Amount::CALL;
        Self { attempt_timeout, limit, failed: false, is_largest: false, baseline: None }
    }

    /// An attempt brought no receipts.
    pub(super) fn failed(&mut self) {
        let limit = Amount { messages: 1, body_bytes: 0 };
        *self = Self { limit, failed: true, ..Self::new(self.attempt_timeout) };
    }

    /// Whether the next attempt is a probe, because the last one brought no receipts.
    pub(super) fn probes(&self) -> bool {
        self.failed
    }

    /// An attempt with `sent` brought receipts after `took`. Returns whether the next one may carry more.
    pub(super) fn answered(&mut self, sent: Amount, took: Duration) -> bool {
        self.failed = false;
        let growth = self.growth(sent, took);
        // A small attempt says nothing about a larger one.
        if sent.is_more_than_half(self.limit) {
            self.is_largest = growth == 1;
        }
        let next = self.limit.max(sent.times(growth)).min(Amount::CALL);
        std::mem::replace(&mut self.limit, next) != next
    }

    /// What a call carries here at most.
    pub(super) fn largest_call(&self) -> Amount {
        if self.is_largest { self.limit } else { Amount::CALL }
    }

    /// How many times as much as `sent` the next attempt may carry.
    fn growth(&mut self, sent: Amount, took: Duration) -> usize {
        let timeout = self.attempt_timeout;
        let baseline = self.baseline.get_or_insert(Baseline { first: sent, shortest: took });
        baseline.shortest = baseline.shortest.min(took);
        let known = if sent.is_at_least_twice(baseline.first) {
            let left = timeout.saturating_sub(baseline.shortest) / 2;
            times(left, took - baseline.shortest)
        } else if took <= timeout * 3 / 8 || sent.body_bytes <= DOUBLED_BYTES_MAX {
            // Nothing is known yet. Twice as much still fits, or is little, and tells more.
            2
        } else {
            1
        };
        known.max(times(timeout / 2, took)).clamp(1, GROWTH_MAX)
    }

    /// How many of the messages that have so many body bytes belong to the next call: as many as an
    /// attempt carries, one at least if there is one. Behind a probe, the rest of a full call waits for
    /// its end.
    pub(super) fn fits(&self, body_bytes: impl Iterator<Item = usize>) -> usize {
        let limit = if self.failed { Amount::CALL } else { self.limit };
        let mut carried = Amount::default();
        for size in body_bytes {
            // A single message always goes, whatever its size: none may block the queue.
            if carried.messages > 0 && !carried.has_room(limit, size) {
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
    use oncelog::limits::{CALL_BYTES_MAX, CALL_MESSAGES_MAX};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);

    /// How many messages of so many bytes the next attempt carries.
    fn carried(size: &BatchSize, body_bytes: usize) -> usize {
        let call = size.fits(std::iter::repeat_n(body_bytes, 10_000));
        if size.probes() { 1 } else { call }
    }

    /// Attempts with messages of so many bytes, each of which takes `took` of what it carries: how many
    /// each carries after one that failed.
    fn carried_each(body_bytes: usize, took: impl Fn(u32) -> Duration) -> Vec<usize> {
        let mut size = BatchSize::new(TIMEOUT);
        size.failed();
        let attempt = |_| {
            let messages = carried(&size, body_bytes);
            let sent = Amount { messages, body_bytes: body_bytes * messages };
            let took = took(u32::try_from(messages).unwrap());
            if took < TIMEOUT {
                size.answered(sent, took);
            } else {
                size.failed();
            }
            messages
        };
        (0..20).map(attempt).collect()
    }

    #[test]
    fn a_call_is_full_until_a_failure_and_soon_again_on_a_fast_way() {
        let size = BatchSize::new(TIMEOUT);
        assert_eq!(carried(&size, 10), CALL_MESSAGES_MAX);
        assert_eq!(carried(&size, CALL_BYTES_MAX / 4), 4);
        let carried = carried_each(10, |_| Duration::from_millis(1));
        assert_eq!(carried[..6], [1, 8, 64, 512, CALL_MESSAGES_MAX, CALL_MESSAGES_MAX]);
    }

    #[test]
    fn a_probe_goes_ahead_of_a_full_call() {
        let mut size = BatchSize::new(TIMEOUT);
        size.failed();
        assert!(size.probes());
        assert_eq!(size.fits(std::iter::repeat_n(10, 10_000)), CALL_MESSAGES_MAX);
    }

    #[test]
    fn on_a_slow_way_an_attempt_grows_to_half_of_its_timeout() {
        let carried = carried_each(1_000, |messages| Duration::from_millis(50) * messages);
        assert_eq!(carried[..4], [1, 8, 16, 16]);
        assert_eq!(carried[19], 16);
        let carried = carried_each(CALL_BYTES_MAX / 8, |messages| TIMEOUT * messages / 2);
        assert_eq!(carried, [1; 20], "not even two get through in time");
    }

    #[test]
    fn where_the_size_costs_nothing_calls_are_full() {
        for millis in [500, 1_000, 1_500, 1_900] {
            let carried = carried_each(100, |messages| {
                Duration::from_millis(millis) + Duration::from_micros(messages.into())
            });
            assert_eq!(carried[8], CALL_MESSAGES_MAX, "{millis} ms: {carried:?}");
        }
    }
}
