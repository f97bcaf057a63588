//! Attempts, delays, deadlines, and the lines an operator reads.

use std::{sync::Arc, time::Duration};

use tonic::Status;
use tower::retry::{Policy as _, budget::TpsBudget};

use super::support::*;
use crate::delivery::{
    ATTEMPT_TIMEOUT, Delivery, DeliveryError, DeliveryOptions, Jitter,
    call::{Call, Outcomes},
    entry::Entry,
    queue::Queue,
    retry::{RetryPolicy, retry_budget},
};
use oncelog::{limits, message::Outcome};

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_is_retried_with_the_same_id() {
    let log = FakeLog::scripted([Step::StoreAndHang]);
    let delivered = start(&log).append(message(7)).await.unwrap();
    assert_eq!(log.call_ids(), [[7], [7]]);
    assert_eq!(log.seen().stored[&7], [1]);
    assert_eq!(delivered.receipt, receipt(1));
    assert!(!delivered.replayed, "the duplicate may be our own");
}

#[tokio::test(start_paused = true)]
async fn a_probe_follows_a_failed_attempt_and_the_rest_follows_it() {
    let slow = Step::Answer(Duration::from_millis(100));
    let log = FakeLog::scripted([slow, Step::StoreAndHang, Step::Hang, Step::Unreachable]);
    let (delivery, first) = busy(&log).await;
    let rest: Vec<_> = [5, 3, 9].map(|id| append(&delivery, message(id))).into();
    first.await.unwrap().unwrap();
    for (waiter, sequence) in rest.into_iter().zip(2..) {
        let delivered = waiter.await.unwrap().unwrap();
        assert_eq!(delivered.receipt, receipt(sequence));
        assert!(!delivered.replayed, "the duplicate may be our own");
    }
    let calls = [vec![1], vec![5, 3, 9], vec![5], vec![5], vec![5], vec![3, 9]];
    assert_eq!(log.call_ids(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_never_retried() {
    let log = FakeLog::scripted([Step::Tell(Outcome::Conflict)]);
    assert_eq!(start(&log).append(message(7)).await, Err(DeliveryError::Conflict));
    assert_eq!(log.call_ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_at_2_s_and_the_next_follows_the_drawn_delay() {
    let log = FakeLog::scripted([Step::Hang, Step::Hang]);
    start(&log).append(message(7)).await.unwrap();
    let delays: Vec<u128> = expected_delays().take(2).collect();
    assert_eq!(log.call_times(), [0, 2_000 + delays[0], 4_000 + delays[0] + delays[1]]);
}

#[tokio::test(start_paused = true)]
async fn delays_are_the_drawn_part_of_their_ceilings() {
    let log = FakeLog::scripted(vec![Step::Unreachable; 8]);
    start(&log).append(message(7)).await.unwrap();
    let times = log.call_times();
    let seen: Vec<u128> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(seen, expected_delays().take(8).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn at_15_s_a_message_is_not_stored_or_of_unknown_outcome() {
    let refused = "logging-service is not reachable: Connection refused (os error 111)";
    let replaying = Step::Fail(stored_nothing(Status::unavailable("replaying")));
    let mut ambiguous = vec![Step::Unreachable; 1_000];
    ambiguous[2] = Step::Fail(Status::unavailable("draining"));
    let not_stored = |last: &str| {
        DeliveryError::NotStored(format!("no attempt reached the logging service: {last}").into())
    };
    let unknown = |last: &str| DeliveryError::Unknown(format!("no answer in time: {last}").into());
    for (script, expected, attempts_min) in [
        (vec![Step::Unreachable; 1_000], not_stored(refused), 10),
        (vec![replaying; 1_000], not_stored("logging-service answered Unavailable: replaying"), 10),
        (ambiguous, unknown(refused), 10),
        (vec![Step::Hang; 100], unknown("no answer within 2s"), 5),
    ] {
        let log = FakeLog::scripted(script);
        assert_eq!(start(&log).append(message(7)).await, Err(expected));
        assert_eq!(log.elapsed(), Duration::from_secs(15));
        let times = log.call_times();
        assert!(times.len() > attempts_min, "it did not retry all the way: {times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_does_not_spend_the_retry_budget() {
    // Delays of zero at worst: even then the ceilings keep the mean far below the reserve.
    for seed in 0..20 {
        let log = FakeLog::scripted(vec![Step::Unreachable; 1_000]);
        let options = DeliveryOptions { jitter: Jitter::seeded(seed), ..options() };
        let delivery = Delivery::start(log.clone(), options);
        let asked = tokio::time::Instant::now();
        let _ = delivery.append(message(7)).await;
        assert_eq!(asked.elapsed(), limits::TOTAL_TIMEOUT, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_stops_retrying() {
    let lines = Lines::capture();
    // One retry a second: the reserve of this budget is a single one.
    let budget = TpsBudget::new(Duration::from_secs(1), 1, 0.2);
    let mut policy = policy(Jitter::seeded(SEED), budget);
    let mut call = Call::new([Arc::new(Entry::new(message(7)))], false);
    let mut fail = || {
        call.begin_attempt();
        let mut result: Result<Outcomes, tower::BoxError> = Err(unreachable_status().into());
        let delay = policy.retry(&mut call, &mut result);
        (delay.is_some(), result.unwrap_err().to_string())
    };
    assert!(fail().0);
    assert_eq!(fail(), (false, "too many retries lately".to_owned()));
    assert_eq!(
        lines.all()[1],
        "WARN not retrying: too many retries lately attempt=2 \
         error=logging-service is not reachable: Connection refused (os error 111)"
    );
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_share_a_jitter_do_not_retry_in_step() {
    let jitter = Jitter::seeded(SEED);
    let start = |log: &FakeLog| {
        let options = DeliveryOptions { jitter: jitter.clone(), ..options() };
        Delivery::start(log.clone(), options)
    };
    let logs = [(); 2].map(|()| FakeLog::scripted(vec![Step::Unreachable; 6]));
    let (one, other) = (start(&logs[0]), start(&logs[1]));
    let (_, _) = tokio::join!(one.append(message(1)), other.append(message(2)));
    assert_ne!(logs[0].call_times(), logs[1].call_times());
}

#[tokio::test(start_paused = true)]
async fn consecutive_calls_draw_different_delays() {
    let mut script = vec![Step::Unreachable; 7];
    script[3] = Step::Answer(Duration::ZERO);
    let log = FakeLog::scripted(script);
    let delivery = start(&log);
    delivery.append(message(1)).await.unwrap();
    delivery.append(message(2)).await.unwrap();
    let times = log.call_times();
    let delays = |from: usize| {
        times[from..from + 4].windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
    };
    assert_ne!(delays(0), delays(4));
}

#[tokio::test(start_paused = true)]
async fn each_retry_is_one_line_an_operator_can_read() {
    let lines = Lines::capture();
    let log = FakeLog::scripted([
        Step::Unreachable,
        Step::Hang,
        Step::Fail(Status::unavailable("draining")),
    ]);
    start(&log).append(message(7)).await.unwrap();
    let reasons = [
        "logging-service is not reachable: Connection refused (os error 111)",
        "no answer within 2s",
        "logging-service answered Unavailable: draining",
    ];
    let retries = (2..).zip(expected_delays()).zip(reasons).map(|((attempt, delay), reason)| {
        format!("WARN retrying attempt={attempt} delay={delay}ms error={reason} messages=1")
    });
    let delivered = "INFO delivered after retries attempt=4 messages=1".to_owned();
    assert_eq!(lines.all(), retries.chain([delivered]).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_first_attempt_that_succeeds_logs_nothing() {
    let lines = Lines::capture();
    start(&FakeLog::scripted([])).append(message(7)).await.unwrap();
    assert_eq!(lines.all(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_budget_outlasts_a_retry_every_100_ms() {
    let mut policy = policy(Jitter::seeded(SEED), retry_budget());
    let mut call = Call::new([Arc::new(Entry::new(message(7)))], false);
    for retry in 0..150 {
        let mut result = Err(unreachable_status().into());
        assert!(policy.retry(&mut call, &mut result).is_some(), "retry {retry}");
        tokio::time::advance(Duration::from_millis(101)).await;
    }
}

fn policy(jitter: Jitter, budget: TpsBudget) -> RetryPolicy {
    RetryPolicy::new(jitter, budget, ATTEMPT_TIMEOUT, Arc::new(Queue::new(&options())))
}
