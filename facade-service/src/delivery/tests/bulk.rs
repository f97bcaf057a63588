//! Bulk appends.

use std::time::Duration;

use bytes::Bytes;

use super::support::*;
use crate::delivery::{BulkAppend, DeliveryError};
use oncelog::{
    limits::{CALL_MESSAGES_MAX, MESSAGE_BODY_BYTES_MAX, TOTAL_TIMEOUT},
    message::{Message, Outcome},
};

fn messages(count: usize) -> Vec<Message> {
    (1..=count as u128).map(message).collect()
}

/// All answers, and how many each wait brought.
async fn all(bulk: &mut BulkAppend) -> (Vec<Answered>, Vec<usize>) {
    let (mut all, mut sizes) = (Vec::new(), Vec::new());
    while let Some(answers) = bulk.next().await {
        sizes.push(answers.len());
        all.extend(answers);
    }
    (all, sizes)
}

#[tokio::test(start_paused = true)]
async fn a_bulk_append_is_stored_in_order_and_answered_by_calls() {
    let log = FakeLog::scripted(vec![Step::Answer(Duration::from_millis(10)); 2]);
    let delivery = start(&log);
    let mut bulk = delivery.append_bulk(messages(CALL_MESSAGES_MAX + 7));
    let (answers, sizes) = all(&mut bulk).await;
    assert_eq!(sizes, [CALL_MESSAGES_MAX, 7]);
    let sequences: Vec<_> =
        answers.into_iter().map(|answer| answer.unwrap().receipt.sequence).collect();
    assert!(sequences.into_iter().eq(1..=CALL_MESSAGES_MAX as u64 + 7));
    assert!(log.call_ids().concat().into_iter().eq(1..=CALL_MESSAGES_MAX as u128 + 7));
}

#[tokio::test(start_paused = true)]
async fn a_bulk_append_is_queued_before_it_is_awaited() {
    let log = FakeLog::scripted([]);
    let delivery = start(&log);
    let mut bulk = delivery.append_bulk(messages(2));
    delivery.append(message(7)).await.unwrap();
    assert_eq!(log.call_ids().concat(), [1, 2, 7]);
    assert_eq!(all(&mut bulk).await.0.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn each_message_of_a_bulk_append_has_its_own_answer() {
    let log = FakeLog::scripted([]);
    let delivery = start(&log);
    delivery.append(message(2)).await.unwrap();
    let large = Bytes::from(vec![b'x'; MESSAGE_BODY_BYTES_MAX + 1]);
    let bulk = vec![message(1), message_with(9, large), message(2), message(3)];
    let (answers, _) = all(&mut delivery.append_bulk(bulk)).await;
    assert!(matches!(answers[1], Err(DeliveryError::Invalid(_))), "{answers:?}");
    let replayed: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().map(|it| it.replayed).ok()).collect();
    assert_eq!(replayed, [Some(false), None, Some(true), Some(false)]);
    assert_eq!(log.call_ids()[1..].concat(), [1, 2, 3], "the one too large was sent");

    let conflict = FakeLog::scripted([Step::Tell(Outcome::Conflict)]);
    let (answers, _) = all(&mut start(&conflict).append_bulk(messages(2))).await;
    assert_eq!(answers, [Err(DeliveryError::Conflict), Err(DeliveryError::Conflict)]);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_a_bulk_append_tells_what_is_known_of_each() {
    let log = FakeLog::scripted(vec![Step::HangAndStoreLater(TOTAL_TIMEOUT * 2); 100]);
    let delivery = start(&log);
    let mut bulk = delivery.append_bulk(messages(CALL_MESSAGES_MAX + 1));
    let (answers, _) = all(&mut bulk).await;
    assert_eq!(log.elapsed(), TOTAL_TIMEOUT);
    let (sent, waiting) = answers.split_at(CALL_MESSAGES_MAX);
    assert!(sent.iter().all(|answer| matches!(answer, Err(DeliveryError::Unknown(_)))));
    assert!(matches!(waiting[0], Err(DeliveryError::NotStored(_))), "{waiting:?}");
    at(&log, 120_000).await;
    let last = CALL_MESSAGES_MAX as u128 + 1;
    assert!(!log.call_ids().concat().contains(&last), "it was sent after all");
}

#[tokio::test(start_paused = true)]
async fn a_bulk_append_that_is_dropped_leaves_the_queue() {
    let log = FakeLog::scripted([Step::Answer(Duration::from_secs(1))]);
    let delivery = start(&log);
    let first = append(&delivery, message(100));
    settle().await;
    let mut taken = delivery.append_bulk(messages(3));
    assert!(tokio::time::timeout(Duration::from_millis(1), taken.next()).await.is_err());
    drop(taken);
    delivery.append(message(200)).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(log.call_ids(), [[100], [200]]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_gets_full_refuses_the_rest_of_a_bulk_append() {
    let log = FakeLog::scripted([Step::Answer(Duration::from_secs(1))]);
    let delivery = start(&log);
    let first = append(&delivery, message(u128::MAX));
    settle().await;
    let (answers, _) = all(&mut delivery.append_bulk(messages(QUEUE.queue_messages_max + 2))).await;
    let (stored, refused) = answers.split_at(QUEUE.queue_messages_max);
    assert!(stored.iter().all(Result::is_ok));
    assert_eq!(refused.len(), 2);
    for answer in refused {
        assert!(matches!(answer, Err(DeliveryError::Overloaded { .. })), "{answer:?}");
    }
    first.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_ends_leaves_no_bulk_append_waiting() {
    let log = FakeLog::scripted([Step::Panic]);
    let delivery = start(&log);
    let (answers, _) = all(&mut delivery.append_bulk(messages(CALL_MESSAGES_MAX + 1))).await;
    let (sent, waiting) = answers.split_at(CALL_MESSAGES_MAX);
    assert!(sent.iter().all(|answer| matches!(answer, Err(DeliveryError::Unknown(_)))));
    assert!(matches!(waiting[0], Err(DeliveryError::NotStored(_))), "{waiting:?}");
    assert_eq!(log.elapsed(), Duration::ZERO);
}
