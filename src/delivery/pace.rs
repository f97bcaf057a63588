//! How much one attempt carries.
//!
//! On a link or a disk so slow that a full batch takes longer than an attempt may, full batches would
//! never get through: each would time out and be sent again. So an attempt without receipts is followed
//! by one with a single message, and every answer says how much the next attempt may carry: as many
//! times more as keep it within half of the attempt timeout, and at most [`PACE_GROWTH_MAX`] times.

use std::time::Duration;

use crate::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, PACE_GROWTH_MAX};

use super::room::Amount;

/// What the next attempt may carry. A single message always goes.
#[derive(Debug)]
pub(super) struct Pace(Amount);

impl Default for Pace {
    /// As long as nothing has failed, a full batch.
    fn default() -> Self {
        Self(Amount { messages: BATCH_MESSAGES_MAX, body_bytes: BATCH_BYTES_MAX })
    }
}

impl Pace {
    /// An attempt brought no receipts.
    pub(super) fn failed(&mut self) {
        self.0 = Amount { messages: 1, body_bytes: 0 };
    }

    /// An attempt with `sent` brought receipts after `took`, of `attempt_timeout`. Returns whether the next
    /// one may carry more.
    pub(super) fn answered(
        &mut self,
        sent: Amount,
        took: Duration,
        attempt_timeout: Duration,
    ) -> bool {
        let growth = (attempt_timeout / 2).as_nanos() / took.as_nanos().max(1);
        let growth = usize::try_from(growth).unwrap_or(usize::MAX).clamp(1, PACE_GROWTH_MAX);
        let grown = |within: usize, sent: usize, most: usize| within.max(sent * growth).min(most);
        let next = Amount {
            messages: grown(self.0.messages, sent.messages, BATCH_MESSAGES_MAX),
            body_bytes: grown(self.0.body_bytes, sent.body_bytes, BATCH_BYTES_MAX),
        };
        std::mem::replace(&mut self.0, next) != next
    }

    /// How many of the messages that have so many body bytes the next attempt carries: one at least, if
    /// there is one.
    pub(super) fn fits(&self, body_bytes: impl Iterator<Item = usize>) -> usize {
        let mut carried = Amount::default();
        for size in body_bytes {
            // A single message always goes, whatever its size: nothing may block the line.
            if carried.messages > 0 && !carried.has_room(self.0, size) {
                break;
            }
            carried.add(size);
        }
        carried.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn carried(pace: &Pace, body_bytes: usize) -> usize {
        pace.fits(std::iter::repeat_n(body_bytes, 10_000))
    }

    #[test]
    fn a_batch_is_full_until_an_attempt_fails_and_soon_again_on_a_fast_way() {
        let mut pace = Pace::default();
        assert_eq!(carried(&pace, 10), BATCH_MESSAGES_MAX);
        assert_eq!(carried(&pace, BATCH_BYTES_MAX / 4), 4);
        pace.failed();
        for expected in [1, 8, 64, 512, BATCH_MESSAGES_MAX, BATCH_MESSAGES_MAX] {
            let messages = carried(&pace, 10);
            assert_eq!(messages, expected);
            let sent = Amount { messages, body_bytes: 10 * messages };
            pace.answered(sent, Duration::from_millis(1), TIMEOUT);
        }
    }

    #[test]
    fn on_a_slow_way_an_attempt_grows_to_half_of_its_timeout_and_no_further() {
        let mut pace = Pace::default();
        pace.failed();
        let mut took = Duration::ZERO;
        for _ in 0..20 {
            let messages = carried(&pace, 1_000);
            // 50 ms for each message.
            took = Duration::from_millis(50) * u32::try_from(messages).unwrap();
            let sent = Amount { messages, body_bytes: 1_000 * messages };
            pace.answered(sent, took, TIMEOUT);
        }
        assert!(took > TIMEOUT / 4 && took <= TIMEOUT / 2, "{took:?}");
    }
}
