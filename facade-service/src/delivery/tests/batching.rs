//! What is sent together, and what is not even queued.

use std::time::Duration;

use bytes::Bytes;
use tonic::Status;
use tower::{ServiceExt as _, service_fn};

use super::support::*;
use crate::delivery::{Delivery, DeliveryError, DeliveryOptions, queue::COALESCED_MESSAGES_MAX};
use oncelog::limits::{CALL_BYTES_MAX, CALL_MESSAGES_MAX, MESSAGE_BODY_BYTES_MAX};

const SLOW: Step = Step::Answer(Duration::from_millis(100));

#[tokio::test(start_paused = true)]
async fn a_single_message_is_sent_at_once() {
    let log = FakeLog::scripted([]);
    start(&log).append(message(7)).await.unwrap();
    assert_eq!(log.call_times(), [0]);
    assert_eq!(log.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_waits_during_a_call_is_the_next_one_in_order() {
    let log = FakeLog::scripted([SLOW, SLOW]);
    let (delivery, first) = busy(&log).await;
    let rest: Vec<_> = [5, 3, 9, 2].map(|id| append(&delivery, message(id))).into();
    settle().await;
    assert_eq!(log.call_ids(), [[1]], "one call is under way at a time");
    first.await.unwrap().unwrap();
    for (waiter, sequence) in rest.into_iter().zip(2..) {
        assert_eq!(waiter.await.unwrap().unwrap().receipt, receipt(sequence));
    }
    assert_eq!(log.call_ids(), [vec![1], vec![5, 3, 9, 2]]);
    assert_eq!(log.call_times(), [0, 100]);
}

#[tokio::test(start_paused = true)]
async fn messages_that_follow_an_answer_join_those_that_wait() {
    let log = FakeLog::scripted([SLOW]);
    let delivery = start(&log);
    let client = tokio::spawn({
        let delivery = delivery.clone();
        async move {
            delivery.append(message(1)).await.unwrap();
            delivery.append(message(3)).await.unwrap();
        }
    });
    settle().await;
    let second = append(&delivery, message(2));
    client.await.unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(log.call_ids(), [vec![1], vec![2, 3]]);
    assert_eq!(log.call_times(), [0, 100], "nothing was waited for");
}

#[tokio::test(start_paused = true)]
async fn a_lone_client_is_not_kept_waiting_for_others() {
    let log = FakeLog::scripted([]);
    let delivery = start(&log);
    append(&delivery, message(1)).await.unwrap().unwrap();
    let second = append(&delivery, message(2));
    // Its turn is behind that of the task that sends.
    let third = tokio::spawn(async move { append(&delivery, message(3)).await.unwrap() });
    for waiter in [second, third] {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(log.call_ids(), [[1], [2], [3]]);
}

#[tokio::test(start_paused = true)]
async fn a_large_enough_call_is_sent_before_the_last_is_answered() {
    let log = FakeLog::scripted([SLOW, SLOW]);
    // As in production, a call passes through a task for the channel and one for the connection.
    let through_tasks = service_fn({
        let log = log.clone();
        move |request| {
            let log = log.clone();
            let connection = async { tokio::spawn(log.oneshot(request)).await.unwrap() };
            async { tokio::spawn(connection).await.unwrap() }
        }
    });
    let delivery = Delivery::start(through_tasks, DeliveryOptions::default());
    let first = tokio::spawn({
        let (delivery, log) = (delivery.clone(), log.clone());
        async move {
            delivery.append(message(1)).await.unwrap();
            log.call_ids()
        }
    });
    settle().await;
    let waiting = 2..2 + COALESCED_MESSAGES_MAX as u128;
    let second: Vec<_> = waiting.clone().map(|id| append(&delivery, message(id))).collect();
    settle().await;
    assert_eq!(first.await.unwrap(), [vec![1], waiting.collect()]);
    all_stored(second).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_is_bounded_by_its_number_of_messages() {
    let log = FakeLog::scripted([SLOW]);
    let (delivery, first) = busy(&log).await;
    let count = 2 * CALL_MESSAGES_MAX as u128 + 3;
    let rest: Vec<_> = (2..2 + count).map(|id| append(&delivery, message(id))).collect();
    first.await.unwrap().unwrap();
    all_stored(rest).await;
    let sizes: Vec<usize> = log.call_ids().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, CALL_MESSAGES_MAX, CALL_MESSAGES_MAX, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_bounded_by_bytes_and_one_message_may_fill_it() {
    let log = FakeLog::scripted([SLOW]);
    let delivery = start(&log);
    let half = Bytes::from(vec![b'x'; CALL_BYTES_MAX / 2]);
    let full = Bytes::from(vec![b'x'; MESSAGE_BODY_BYTES_MAX]);
    let mut waiters = vec![append(&delivery, message(1))];
    settle().await;
    for (id, body) in (2..).zip([&half, &half, &half, &full, &half]) {
        waiters.push(append(&delivery, message_with(id, body.clone())));
    }
    all_stored(waiters).await;
    assert_eq!(log.call_ids(), [vec![1], vec![2, 3], vec![4], vec![5], vec![6]]);
    assert!(log.seen().calls.iter().all(|call| call.body_bytes <= CALL_BYTES_MAX));
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_is_refused_before_it_is_queued() {
    let log = FakeLog::scripted([]);
    let body = Bytes::from(vec![b'x'; MESSAGE_BODY_BYTES_MAX + 1]);
    let answer = start(&log).append(message_with(7, body)).await;
    assert!(matches!(answer, Err(DeliveryError::Invalid(_))), "{answer:?}");
    assert!(log.call_ids().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once_until_it_has_room_again() {
    let log = FakeLog::scripted([SLOW]);
    let (delivery, first) = busy(&log).await;
    let waiting: Vec<_> = (0..QUEUE.queue_messages_max as u128)
        .map(|index| append(&delivery, message(2 + index)))
        .collect();
    settle().await;
    let refused = u128::MAX;
    assert_eq!(
        delivery.append(message(refused)).await,
        Err(DeliveryError::Overloaded {
            reason: "too many messages are waiting for the logging service".into(),
            wait: Duration::ZERO,
        })
    );
    assert_eq!(log.elapsed(), Duration::ZERO, "without waiting");
    first.await.unwrap().unwrap();
    delivery.append(message(u128::MAX - 1)).await.unwrap();
    all_stored(waiting).await;
    assert!(!log.seen().stored.contains_key(&refused));
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_by_bytes_that_cancelling_frees() {
    let log = FakeLog::scripted([Step::Hang]);
    let (delivery, _first) = busy(&log).await;
    let body = Bytes::from(vec![b'x'; MESSAGE_BODY_BYTES_MAX]);
    let count = (QUEUE.queue_bytes_max / MESSAGE_BODY_BYTES_MAX) as u128;
    let waiting: Vec<_> =
        (0..count).map(|n| append(&delivery, message_with(2 + n, body.clone()))).collect();
    settle().await;
    let refused = delivery.append(message(1_000)).await;
    assert!(matches!(refused, Err(DeliveryError::Overloaded { .. })), "{refused:?}");
    waiting[20].abort();
    settle().await;
    let taken = append(&delivery, message(1_001));
    settle().await;
    assert!(!taken.is_finished());
}

#[tokio::test(start_paused = true)]
async fn the_same_id_twice_is_sent_twice_and_answered_twice() {
    let log = FakeLog::scripted([SLOW]);
    let (delivery, first) = busy(&log).await;
    let (one, two) = (append(&delivery, message(7)), append(&delivery, message(7)));
    first.await.unwrap().unwrap();
    let (one, two) = (one.await.unwrap().unwrap(), two.await.unwrap().unwrap());
    assert_eq!(log.call_ids(), [vec![1], vec![7, 7]]);
    assert_eq!(one.receipt, two.receipt);
    assert_eq!(log.seen().stored[&7], [2]);
}

#[tokio::test(start_paused = true)]
async fn a_call_refused_for_its_content_is_halved_to_the_culprit() {
    // The call with 7 messages is refused, and each part with the culprit (4) in it.
    let refuse = || Step::Fail(Status::invalid_argument("too large for me"));
    let store = || Step::Answer(Duration::ZERO);
    let (script, calls): (Vec<_>, Vec<_>) = [
        (SLOW, vec![1]),
        (refuse(), vec![2, 3, 4, 5, 6, 7]),
        (refuse(), vec![2, 3, 4]),
        (store(), vec![2]),
        (refuse(), vec![3, 4]),
        (store(), vec![3]),
        (refuse(), vec![4]),
        (store(), vec![5, 6, 7]),
    ]
    .into_iter()
    .unzip();
    let log = FakeLog::scripted(script);
    let (delivery, first) = busy(&log).await;
    let waiters: Vec<_> = (2..8).map(|id| (id, append(&delivery, message(id)))).collect();
    first.await.unwrap().unwrap();
    for (id, waiter) in waiters {
        let answer = waiter.await.unwrap();
        if id == 4 {
            assert!(matches!(answer, Err(DeliveryError::Invalid(_))), "{answer:?}");
        } else {
            assert!(answer.is_ok(), "{id}: {answer:?}");
        }
    }
    assert_eq!(log.call_ids(), calls);
}
