//! What a delivery can be told: timeouts, the source of its delays, and the limits of its queue.

use std::time::Duration;

use oncelog::limits::{CALL_MESSAGES_MAX, MESSAGE_BODY_BYTES_MAX, TOTAL_TIMEOUT};

use super::jitter::Jitter;

/// The default timeout of one attempt, connecting included.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Calls that may wait however slow the disk is: one to be sent next, and one that fills up meanwhile.
pub(super) const QUEUE_CALLS_MIN: usize = 2;

const _: () = assert!(ATTEMPT_TIMEOUT.as_millis() < TOTAL_TIMEOUT.as_millis());

/// How long a delivery tries, by which chance it spreads its retries, and how much it queues.
#[derive(Debug, Clone)]
pub struct DeliveryOptions {
    /// For one attempt, connecting included.
    pub attempt_timeout: Duration,
    /// For everything: waiting in the queue, all attempts, and the delays between them.
    pub total_timeout: Duration,
    /// Where the delays come from. Give deliveries of one process the same one.
    pub jitter: Jitter,
    /// The limits of the queue.
    pub limits: DeliveryLimits,
}

impl Default for DeliveryOptions {
    fn default() -> Self {
        Self {
            attempt_timeout: ATTEMPT_TIMEOUT,
            total_timeout: TOTAL_TIMEOUT,
            jitter: Jitter::default(),
            limits: DeliveryLimits::DEFAULT,
        }
    }
}

/// The limits of the queue of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// Messages in the queue: as many as arrive in a short outage under load.
    pub queue_messages_max: usize,
    /// Body bytes in the queue: what the memory of the process may grow by in an outage.
    pub queue_bytes_max: usize,
    /// How long a single append may wait behind others while calls are answered. Past this it is
    /// refused: a longer queue would store nothing more, and every message in it would be late.
    pub queue_wait_max: Duration,
}

/// Why [`DeliveryLimits`] cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeliveryLimits {
    /// Too few messages for the calls that always may wait.
    #[error("the queue must hold at least {} messages", QUEUE_CALLS_MIN * CALL_MESSAGES_MAX)]
    QueueMessages,
    /// Too few bytes for the largest message.
    #[error("the queue must hold at least {MESSAGE_BODY_BYTES_MAX} bytes")]
    QueueBytes,
}

impl DeliveryLimits {
    /// The limits of a delivery that is told no others.
    pub const DEFAULT: Self = Self {
        queue_messages_max: 16 * 1024,
        queue_bytes_max: 64 * 1024 * 1024,
        queue_wait_max: Duration::from_millis(50),
    };

    /// Whether a delivery can keep these limits.
    ///
    /// # Errors
    /// [`InvalidDeliveryLimits`] names the first limit that is too small.
    pub const fn validate(&self) -> Result<(), InvalidDeliveryLimits> {
        if self.queue_messages_max < QUEUE_CALLS_MIN * CALL_MESSAGES_MAX {
            return Err(InvalidDeliveryLimits::QueueMessages);
        }
        if self.queue_bytes_max < MESSAGE_BODY_BYTES_MAX {
            return Err(InvalidDeliveryLimits::QueueBytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_a_delivery_cannot_keep_are_refused() {
        let limits = DeliveryLimits::DEFAULT;
        assert_eq!(limits.validate(), Ok(()));
        let few = DeliveryLimits { queue_messages_max: 2 * CALL_MESSAGES_MAX - 1, ..limits };
        assert_eq!(few.validate(), Err(InvalidDeliveryLimits::QueueMessages));
        let small = DeliveryLimits { queue_bytes_max: MESSAGE_BODY_BYTES_MAX - 1, ..limits };
        assert_eq!(small.validate(), Err(InvalidDeliveryLimits::QueueBytes));
    }
}
