//! Too many messages for a log that is slow, and the same for a log that is away.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::support::*;
use crate::delivery::{
    ATTEMPT_TIMEOUT, BACKOFF_MAX, Delivery, DeliveryError, options::QUEUE_CALLS_MIN,
};
use oncelog::limits::{CALL_MESSAGES_MAX, TOTAL_TIMEOUT};

/// What one call takes here.
const CALL_MILLIS: u64 = 100;

/// A log that takes its time for each of many calls.
fn slow(calls: usize) -> impl Iterator<Item = Step> {
    std::iter::repeat_n(Step::Answer(Duration::from_millis(CALL_MILLIS)), calls)
}

/// A delivery that has stored one message, and so knows how long a call takes.
async fn warm(log: &FakeLog) -> Delivery {
    let delivery = start(log);
    delivery.append(message(1)).await.unwrap();
    delivery
}

/// Messages that arrive at a constant rate, each with its answer and how long that took.
struct Crowd {
    next_id: u128,
    waiters: Vec<JoinHandle<(Answered, Duration)>>,
}

impl Crowd {
    /// None so far. Their ids count from `first_id`.
    fn of(first_id: u128) -> Self {
        Self { next_id: first_id, waiters: Vec::new() }
    }

    async fn arrive(&mut self, delivery: &Delivery, per_milli: usize, millis: u64) {
        for _ in 0..millis {
            for _ in 0..per_milli {
                let (delivery, message) = (delivery.clone(), message(self.next_id));
                self.next_id += 1;
                self.waiters.push(tokio::spawn(async move {
                    let arrived = tokio::time::Instant::now();
                    (delivery.append(message).await, arrived.elapsed())
                }));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What the accepted ones took, and what the refused ones were told.
    async fn ended(self) -> (Vec<Duration>, Vec<DeliveryError>) {
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for waiter in self.waiters {
            match waiter.await.unwrap() {
                (Ok(_), took) => accepted.push(took),
                (Err(error), took) => {
                    assert_eq!(took, Duration::ZERO, "{error}");
                    refused.push(error);
                }
            }
        }
        (accepted, refused)
    }
}

#[tokio::test(start_paused = true)]
async fn in_overload_what_is_accepted_is_fast_and_calls_are_full() {
    let log = FakeLog::scripted(slow(50));
    let delivery = warm(&log).await;
    let mut crowd = Crowd::of(100);
    // Five times what the log can take.
    crowd.arrive(&delivery, 5 * CALL_MESSAGES_MAX / CALL_MILLIS as usize, 1_000).await;
    let (accepted, refused) = crowd.ended().await;
    let calls = QUEUE_CALLS_MIN as u64 + 1;
    let longest = accepted.iter().max().unwrap();
    assert!(*longest <= Duration::from_millis(calls * CALL_MILLIS), "{longest:?}");
    assert!(accepted.len() >= 9 * CALL_MESSAGES_MAX, "{}", accepted.len());
    assert!(refused.len() > 3 * accepted.len());
    for error in refused {
        let DeliveryError::Overloaded { wait, .. } = error else { panic!("{error:?}") };
        assert_eq!(wait, Duration::from_millis(calls * CALL_MILLIS));
    }
    let sizes: Vec<usize> = log.call_ids().iter().map(Vec::len).collect();
    let full = sizes.iter().filter(|size| **size == CALL_MESSAGES_MAX).count();
    assert!(full >= 9, "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn after_overload_messages_are_accepted_as_the_queue_shrinks() {
    let log = FakeLog::scripted(slow(50));
    let delivery = warm(&log).await;
    let mut crowd = Crowd::of(100);
    crowd.arrive(&delivery, 50, 500).await;
    let mut calm = Crowd::of(1_000_000);
    tokio::time::sleep(Duration::from_millis(CALL_MILLIS)).await;
    calm.arrive(&delivery, 8, 1_000).await;
    assert_eq!(calm.ended().await.1.len(), 0);
    assert!(!crowd.ended().await.1.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_outage_refuses_nothing_and_neither_does_its_backlog() {
    // Away for two attempts, longer than the queue of a slow log may become in overload.
    let outage = [Step::Hang, Step::Hang];
    let log = FakeLog::scripted(slow(1).chain(outage).chain(slow(100)));
    let delivery = warm(&log).await;
    let mut crowd = Crowd::of(100);
    let per_milli = CALL_MESSAGES_MAX / CALL_MILLIS as usize / 3;
    let outage = 2 * ATTEMPT_TIMEOUT.as_millis() as u64;
    crowd.arrive(&delivery, per_milli, outage + 3_000).await;
    let (accepted, refused) = crowd.ended().await;
    assert_eq!(refused.len(), 0, "{:?}", refused.first());
    let most_at_once = 4 * QUEUE_CALLS_MIN * CALL_MESSAGES_MAX;
    assert!(accepted.len() > most_at_once, "{}", accepted.len());
}

#[tokio::test(start_paused = true)]
async fn a_bulk_append_waits_and_takes_no_room_from_single_ones() {
    let log = FakeLog::scripted(slow(50));
    let delivery = warm(&log).await;
    let bulk = (0..4 * CALL_MESSAGES_MAX as u128).map(|id| message(100 + id)).collect();
    let mut bulk = delivery.append_bulk(bulk);
    settle().await;
    delivery.append(message(7)).await.unwrap();
    while let Some(answers) = bulk.next().await {
        assert!(answers.iter().all(Result::is_ok));
    }
}

#[tokio::test(start_paused = true)]
async fn a_way_too_slow_for_full_calls_gets_smaller_ones() {
    // A full call takes twice as long as an attempt may.
    let each = 2 * ATTEMPT_TIMEOUT / CALL_MESSAGES_MAX as u32;
    let log = FakeLog::scripted(vec![Step::AnswerEach(each); 100]);
    let delivery = start(&log);
    let waiters: Vec<_> =
        (0..2 * CALL_MESSAGES_MAX as u128).map(|id| append(&delivery, message(100 + id))).collect();
    all_stored(waiters).await;
    let sizes: Vec<usize> = log.call_ids().iter().map(Vec::len).collect();
    let full = sizes.iter().filter(|size| **size == CALL_MESSAGES_MAX).count();
    assert!(full <= 1, "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_tells_an_outage_at_once() {
    let outage = Duration::from_millis(500);
    let down = Step::UnreachableUntil(Duration::from_millis(CALL_MILLIS) + outage);
    let log = FakeLog::scripted(slow(1).chain([down]).chain(slow(100)));
    let delivery = warm(&log).await;
    let mut crowd = Crowd::of(100);
    // In the time in which silence would be taken for an outage, more come than may wait in overload.
    let per_milli = CALL_MESSAGES_MAX / CALL_MILLIS as usize * 7 / 10;
    crowd.arrive(&delivery, per_milli, outage.as_millis() as u64 + 1_000).await;
    let (accepted, refused) = crowd.ended().await;
    assert_eq!(refused.len(), 0, "{:?}", refused.first());
    assert!(accepted.len() > 4 * CALL_MESSAGES_MAX, "{}", accepted.len());
}

#[tokio::test(start_paused = true)]
async fn a_message_late_in_a_long_outage_waits_for_its_end() {
    let end = TOTAL_TIMEOUT + Duration::from_secs(5);
    let log = FakeLog::scripted([Step::UnreachableUntil(end)]);
    let delivery = start(&log);
    let mut waiters = Vec::new();
    for id in 0..end.as_millis() {
        waiters.push((log.elapsed(), append(&delivery, message(100 + id))));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let attempts = log.call_times().len();
    assert!(attempts < 200, "{attempts} attempts while the log was away");
    for (posted, waiter) in waiters {
        let answer = waiter.await.unwrap();
        // The last delay before the end may be as long as any.
        if posted + TOTAL_TIMEOUT > end + BACKOFF_MAX {
            assert!(answer.is_ok(), "posted after {posted:?}: {answer:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_slow_for_each_call_gets_full_ones_after_an_outage() {
    for millis in [300, 600, 1_200, 1_900] {
        let slow = vec![Step::Answer(Duration::from_millis(millis)); 1_000];
        let log = FakeLog::scripted([Step::Unreachable].into_iter().chain(slow));
        let delivery = start(&log);
        let mut crowd = Crowd::of(100);
        crowd.arrive(&delivery, 1, 30_000).await;
        drop(crowd);
        let sizes: Vec<usize> = log.call_ids().iter().map(Vec::len).collect();
        let largest = sizes.iter().max().unwrap();
        assert!(*largest >= (millis as usize).min(CALL_MESSAGES_MAX), "{millis} ms: {sizes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_way_too_slow_for_full_calls_waits_are_short_too() {
    // A full call takes twice as long as an attempt may, so a call carries less.
    let each = 2 * ATTEMPT_TIMEOUT / CALL_MESSAGES_MAX as u32;
    let log = FakeLog::scripted(vec![Step::AnswerEach(each); 1_000]);
    let delivery = start(&log);
    // More than it takes, until what came before it was known how slow it is has been let go.
    Crowd::of(100).arrive(&delivery, 1, 80_000).await;
    let mut crowd = Crowd::of(1_000_000);
    crowd.arrive(&delivery, 1, 10_000).await;
    let (accepted, refused) = crowd.ended().await;
    let longest = accepted.iter().max().unwrap();
    assert!(*longest <= 2 * ATTEMPT_TIMEOUT, "{longest:?}");
    assert!(accepted.len() > 2_000 && !refused.is_empty(), "{}", accepted.len());
}
