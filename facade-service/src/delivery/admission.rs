//! Admission control: the queue is bounded by the time that a message waits in it.
//!
//! A queue that is bounded by its length alone turns overload into delay: it fills up, stays full, and
//! every message that is accepted waits for all of it. A longer wait stores nothing more, since the
//! logging service is busy either way. So a message is refused on arrival, before anything is done with
//! it, when those ahead of it already take as long as they should.
//!
//! What is measured is the time of one call, from request to receipts: a full one, or on a way too slow
//! for full ones as much as an attempt carries. From it follows how many calls may wait: as many as are
//! answered within [`DeliveryLimits::queue_wait_max`], and never fewer than [`QUEUE_CALLS_MIN`], which
//! keep the logging service busy however slow it is. So an accepted message waits for at most that time,
//! or for that many calls where the disk is slow. The first [`QUEUE_MESSAGES_MIN`] are never refused:
//! a few large messages reach the limit in bytes, and a handful of clients that wait for their answers
//! is no overload.
//!
//! An outage is not overload. While no call is answered at all, messages wait as many as the queue holds
//! and as long as their total timeout allows, and a restart of the logging service refuses no message.
//! The difference is whether calls are answered. A failed attempt tells it at once, and silence after a
//! while: [`Admission::is_silent`]. The backlog of an outage is admitted after its end: the limit then
//! shrinks with the queue, a quarter as fast as calls are sent. Clients that load the log to less than
//! three quarters are still not refused, and a load that would keep the queue long is.

use std::time::Duration;

use tokio::time::Instant;

use oncelog::limits::CALL_MESSAGES_MAX;

use super::{
    amount::Amount,
    options::{ATTEMPT_TIMEOUT, DeliveryLimits, QUEUE_CALLS_MIN},
};

/// Messages that may wait whatever their size and however slow the disk is: as many as come from clients
/// too few to overload anything. [`DeliveryLimits::queue_bytes_max`] holds for them as well.
const QUEUE_MESSAGES_MIN: usize = 64;

/// How many times its usual time a call is waited for, but no longer than [`OUTAGE_DELAY_MAX`]. Then it
/// is an outage and not slowness, and messages wait for its end.
const OUTAGE_CALL_TIMES: u32 = 4;

/// The shortest silence that counts as an outage: the longest usual pause of a disk.
const OUTAGE_DELAY_MIN: Duration = Duration::from_millis(100);

/// The longest silence that counts as slowness.
const OUTAGE_DELAY_MAX: Duration = ATTEMPT_TIMEOUT;

/// What may wait at the moment.
#[derive(Debug)]
pub(super) struct Admission {
    limits: DeliveryLimits,
    admitted: Amount,
    /// What one call carries at most: on a slow way, less than it could.
    call: Amount,
    /// The time of one call, smoothed. None until one was answered.
    call_time: Option<Duration>,
    /// The last call that was answered, and the attempt that was sent last.
    answered: Amount,
    sent: Amount,
    /// Since when there were attempts and no receipts.
    owed_since: Option<Instant>,
}

impl Admission {
    /// As long as nothing is known, only the limits of the queue apply.
    pub(super) fn new(limits: DeliveryLimits) -> Self {
        Self {
            limits,
            admitted: queue_limit(&limits),
            call: Amount::CALL,
            call_time: None,
            answered: Amount::default(),
            sent: Amount::default(),
            owed_since: None,
        }
    }

    /// Whether the queue itself has room for a message of `body_bytes` beside `waiting`.
    pub(super) fn queue_has_room(&self, waiting: Amount, body_bytes: usize) -> bool {
        waiting.has_room(queue_limit(&self.limits), body_bytes)
    }

    /// Whether a message of `body_bytes` may wait behind `waiting` while calls are answered.
    pub(super) fn admits(&self, waiting: Amount, body_bytes: usize) -> bool {
        waiting.messages < QUEUE_MESSAGES_MIN || waiting.has_room(self.admitted, body_bytes)
    }

    /// An attempt begins, with `sent`.
    pub(super) fn sent(&mut self, sent: Amount, now: Instant) {
        self.sent = sent;
        // After one that failed, the debt is older than this attempt.
        self.owed_since.get_or_insert(now);
    }

    /// The call `sent`, which could have carried up to `call`, was answered in an attempt that `took` so
    /// long, and `waiting` is in the queue.
    pub(super) fn answered(&mut self, sent: Amount, call: Amount, took: Duration, waiting: Amount) {
        self.owed_since = None;
        (self.answered, self.call) = (sent, call);
        let time = self.call_time.map_or(took, |before| (before + took) / 2);
        self.call_time = Some(time);
        let in_time = self.limits.queue_wait_max.as_nanos() / time.as_nanos().max(1);
        let in_time = usize::try_from(in_time).unwrap_or(usize::MAX);
        let calls_max = self.limits.queue_messages_max / CALL_MESSAGES_MAX;
        let calls = in_time.clamp(QUEUE_CALLS_MIN, calls_max);
        let calm = call.times(calls).min(queue_limit(&self.limits));
        // A call is about to leave, and three quarters of it may come.
        let backlog = waiting.combine(sent, |waiting, sent| waiting.saturating_sub(sent / 4));
        self.admitted = backlog.max(calm);
    }

    /// An attempt of the slow start was answered: it carried little because one before it had failed. It
    /// says that the way is open, and nothing about how long a call takes. `waiting` is in the queue.
    pub(super) fn answered_in_slow_start(&mut self, waiting: Amount) {
        self.owed_since = None;
        let backlog = waiting.combine(Amount::CALL, |waiting, call| waiting + call);
        self.admitted = self.admitted.max(backlog);
    }

    /// Whether receipts are owed for longer than a slow call takes.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let call_time = self.call_time.unwrap_or_default();
        // On a slow link a larger call takes longer: that is no outage either.
        let call_time = call_time.saturating_mul(self.sent.work_relative_to(self.answered));
        let silence_max = call_time.saturating_mul(OUTAGE_CALL_TIMES);
        let silence_max = silence_max.clamp(OUTAGE_DELAY_MIN, OUTAGE_DELAY_MAX);
        self.owed_since.is_some_and(|since| now.saturating_duration_since(since) > silence_max)
    }

    /// How long it takes to store what is `waiting`, and the call before it.
    pub(super) fn expected_wait(&self, waiting: Amount) -> Duration {
        let calls = u32::try_from(waiting.calls(self.call) + 1).unwrap_or(u32::MAX);
        self.call_time.unwrap_or_default().saturating_mul(calls)
    }
}

/// What the queue holds at most, overloaded or not.
fn queue_limit(limits: &DeliveryLimits) -> Amount {
    Amount { messages: limits.queue_messages_max, body_bytes: limits.queue_bytes_max }
}

#[cfg(test)]
mod tests {
    use oncelog::limits::CALL_BYTES_MAX;

    use super::*;

    const FULL: Amount = Amount { messages: CALL_MESSAGES_MAX, body_bytes: 0 };

    fn admission() -> Admission {
        Admission::new(DeliveryLimits::DEFAULT)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn waiting(messages: usize) -> Amount {
        Amount { messages, body_bytes: 0 }
    }

    /// The calls that may wait once calls take `took`.
    fn calls_when(took: Duration) -> usize {
        let mut admission = admission();
        admission.answered(FULL, Amount::CALL, took, Amount::default());
        let calls = admission.admitted.calls(Amount::CALL);
        assert_eq!(admission.admitted.messages / CALL_MESSAGES_MAX, calls);
        calls
    }

    #[test]
    fn slower_calls_leave_room_for_fewer_but_for_two_at_least() {
        assert_eq!(admission().admitted, queue_limit(&DeliveryLimits::DEFAULT));
        assert_eq!(
            calls_when(Duration::ZERO),
            DeliveryLimits::DEFAULT.queue_messages_max / CALL_MESSAGES_MAX
        );
        assert_eq!(calls_when(millis(10)), 5);
        assert_eq!(calls_when(millis(100)), QUEUE_CALLS_MIN);
        assert_eq!(calls_when(millis(2_000)), QUEUE_CALLS_MIN);
    }

    #[test]
    fn a_handful_of_large_messages_is_never_overload() {
        let mut admission = admission();
        admission.answered(FULL, Amount::CALL, millis(2_000), Amount::default());
        let large = |messages| Amount { messages, body_bytes: messages * CALL_BYTES_MAX };
        assert!(admission.admits(large(QUEUE_MESSAGES_MIN - 1), CALL_BYTES_MAX));
        assert!(!admission.admits(large(QUEUE_MESSAGES_MIN), CALL_BYTES_MAX));
    }

    #[test]
    fn where_calls_are_small_fewer_messages_wait() {
        let mut admission = admission();
        let call = Amount { messages: 100, body_bytes: 10_000 };
        admission.answered(call, call, millis(1_000), Amount::default());
        assert_eq!(admission.admitted, Amount { messages: 200, body_bytes: 20_000 });
        assert_eq!(admission.expected_wait(waiting(200)), millis(3_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_out_for_several_times_its_usual_time_is_an_outage() {
        let mut admission = admission();
        let start = Instant::now();
        admission.sent(FULL, start);
        admission.answered(FULL, Amount::CALL, millis(200), Amount::default());
        assert!(!admission.is_silent(start + millis(60_000)), "nothing is owed");
        let start = start + millis(60_000);
        admission.sent(FULL, start);
        assert!(!admission.is_silent(start + millis(800)));
        assert!(admission.is_silent(start + millis(801)));
        admission.sent(FULL, start + millis(15_000));
        assert!(admission.is_silent(start + millis(15_001)), "the call before it failed");
        admission.answered(FULL, Amount::CALL, millis(200), Amount::default());
        assert!(!admission.is_silent(start + millis(15_001)));
        admission.answered(waiting(1), Amount::CALL, millis(20), Amount::default());
        admission.sent(FULL, start);
        assert!(!admission.is_silent(start + millis(1_700)), "a larger call takes longer");
        assert!(admission.is_silent(start + OUTAGE_DELAY_MAX + millis(1)));
    }

    #[test]
    fn a_backlog_is_let_go_a_quarter_as_fast_as_calls_are_sent() {
        let mut admission = admission();
        for (backlog, within) in [(10_000, 9_744), (9_744, 9_488), (1_000, 2_048)] {
            admission.answered(FULL, Amount::CALL, millis(100), waiting(backlog));
            assert_eq!(admission.admitted.messages, within);
        }
        admission.answered_in_slow_start(waiting(10_000));
        assert_eq!(admission.admitted.messages, 11_024, "the rest of the call comes first");
    }

    #[test]
    fn the_wait_counts_every_call_ahead() {
        let mut admission = admission();
        assert_eq!(admission.expected_wait(waiting(5_000)), Duration::ZERO, "nothing is known");
        admission.answered(FULL, Amount::CALL, millis(400), Amount::default());
        assert_eq!(admission.expected_wait(Amount::default()), millis(400));
        assert_eq!(admission.expected_wait(waiting(2 * CALL_MESSAGES_MAX)), millis(1_200));
        let large = Amount { messages: 3, body_bytes: 3 * CALL_BYTES_MAX };
        assert_eq!(admission.expected_wait(large), millis(1_600));
    }
}
