//! Amounts of messages, by number and by body bytes.

use oncelog::limits::{CALL_BYTES_MAX, CALL_MESSAGES_MAX};

/// Some messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Amount {
    pub(super) messages: usize,
    pub(super) body_bytes: usize,
}

impl Amount {
    /// What one call carries at most.
    pub(super) const CALL: Self = Self { messages: CALL_MESSAGES_MAX, body_bytes: CALL_BYTES_MAX };

    pub(super) fn add(&mut self, body_bytes: usize) {
        self.messages += 1;
        self.body_bytes += body_bytes;
    }

    /// Takes out a message that was added before.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn remove(&mut self, body_bytes: usize) {
        assert!(self.messages > 0 && self.body_bytes >= body_bytes, "it was never added");
        self.messages -= 1;
        self.body_bytes -= body_bytes;
    }

    /// The smaller number of both, and the fewer bytes.
    pub(super) fn min(self, other: Self) -> Self {
        self.combine(other, usize::min)
    }

    /// The larger number of both, and the more bytes.
    pub(super) fn max(self, other: Self) -> Self {
        self.combine(other, usize::max)
    }

    /// Number and bytes of both, each put together by `with`.
    pub(super) fn combine(self, other: Self, with: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            messages: with(self.messages, other.messages),
            body_bytes: with(self.body_bytes, other.body_bytes),
        }
    }

    /// So many times this.
    pub(super) fn times(self, count: usize) -> Self {
        Self { messages: count * self.messages, body_bytes: count * self.body_bytes }
    }

    /// Whether a message of `body_bytes` may be added without exceeding `limit`.
    pub(super) fn has_room(self, limit: Self, body_bytes: usize) -> bool {
        self.messages < limit.messages && self.body_bytes + body_bytes <= limit.body_bytes
    }

    /// Whether it has as many messages as `other`, or as many bytes.
    pub(super) fn reaches(self, other: Self) -> bool {
        self.messages >= other.messages || self.body_bytes >= other.body_bytes
    }

    /// Whether it is at least twice as much as `other`, in messages and in bytes.
    pub(super) fn is_at_least_twice(self, other: Self) -> bool {
        self.messages >= 2 * other.messages && self.body_bytes >= 2 * other.body_bytes
    }

    /// Whether it is more than half of `other`, in messages or in bytes.
    pub(super) fn is_more_than_half(self, other: Self) -> bool {
        2 * self.messages > other.messages || 2 * self.body_bytes > other.body_bytes
    }

    /// How many times as much work as `other` it is, at least once. Each call is some work, however
    /// little it carries: a sixteenth of the largest.
    pub(super) fn work_relative_to(self, other: Self) -> u32 {
        let times =
            |this: usize, other: usize, full: usize| (this + full / 16) / (other + full / 16);
        let messages = times(self.messages, other.messages, CALL_MESSAGES_MAX);
        let bytes = times(self.body_bytes, other.body_bytes, CALL_BYTES_MAX);
        u32::try_from(messages.max(bytes).max(1)).unwrap_or(u32::MAX)
    }

    /// How many calls of at most `call` it takes to send it.
    pub(super) fn calls(self, call: Self) -> usize {
        let by_messages = self.messages.div_ceil(call.messages.max(1));
        by_messages.max(self.body_bytes.div_ceil(call.body_bytes.max(1)))
    }
}
