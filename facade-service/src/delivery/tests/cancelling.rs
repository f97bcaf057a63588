//! Cancelled appends, and the end of a delivery.

use std::time::Duration;

use super::support::*;
use crate::delivery::{Delivery, DeliveryError, DeliveryOptions};

/// A delivery that gives each message 300 ms.
fn start_hasty(log: &FakeLog) -> Delivery {
    let total_timeout = Duration::from_millis(300);
    Delivery::start(log.clone(), DeliveryOptions { total_timeout, ..options() })
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_late_in_the_queue_is_never_sent() {
    let log = FakeLog::scripted(vec![Step::Hang; 7]);
    // Eight attempts of two seconds: the first call lasts as long as it may.
    let (delivery, first) = busy(&log).await;
    let answer = delivery.append(message(2)).await;
    assert_eq!(
        answer,
        Err(DeliveryError::NotStored(
            "its turn did not come while other messages were sent: no answer within 2s".into()
        ))
    );
    assert_eq!(log.elapsed(), Duration::from_secs(15));
    assert!(first.await.unwrap().is_err());
    at(&log, 60_000).await;
    assert!(log.call_ids().iter().all(|ids| *ids == [1]), "{:?}", log.call_ids());
}

#[tokio::test(start_paused = true)]
async fn an_append_cancelled_in_the_queue_is_never_sent() {
    let log = FakeLog::scripted([Step::Answer(Duration::from_secs(1))]);
    let (delivery, first) = busy(&log).await;
    let dropped = append(&delivery, message(2));
    let stays = append(&delivery, message(3));
    settle().await;
    dropped.abort();
    first.await.unwrap().unwrap();
    stays.await.unwrap().unwrap();
    assert_eq!(log.call_ids(), [[1], [3]]);
}

#[tokio::test(start_paused = true)]
async fn an_append_cancelled_between_attempts_is_left_out_of_the_next() {
    let log = FakeLog::scripted([Step::Answer(Duration::from_secs(1)), Step::Hang]);
    let (delivery, first) = busy(&log).await;
    let (dropped, stays) = (append(&delivery, message(2)), append(&delivery, message(3)));
    first.await.unwrap().unwrap();
    at(&log, 1_500).await;
    dropped.abort();
    stays.await.unwrap().unwrap();
    assert_eq!(log.call_ids(), [vec![1], vec![2, 3], vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_makes_no_further_attempt_nor_delay() {
    // Refused at once, over and over: the delays grow to seconds.
    let log = FakeLog::scripted(vec![Step::Unreachable; 9]);
    let delivery = start(&log);
    let dropped = append(&delivery, message(1));
    while log.call_ids().len() < 9 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let calls_at = log.elapsed();
    dropped.abort();
    delivery.append(message(2)).await.unwrap();
    assert_eq!(log.elapsed(), calls_at, "the delay of a cancelled call is not waited for");
    assert_eq!(log.call_ids().last().unwrap(), &[2]);
    at(&log, 60_000).await;
    assert_eq!(log.call_ids().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waited_long_is_answered_by_its_own_deadline() {
    let log = FakeLog::scripted([Step::Hang, Step::Hang, Step::Hang, Step::Hang, Step::Hang]);
    let delivery = start(&log);
    let first = append(&delivery, message(1));
    at(&log, 1_000).await;
    let second = append(&delivery, message(2));
    // The first is answered by the sixth attempt. The second hangs then.
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert!(log.elapsed() < Duration::from_secs(16));

    let log = FakeLog::scripted(vec![Step::Hang; 100]);
    let delivery = start(&log);
    let _first = append(&delivery, message(1));
    at(&log, 1_000).await;
    let second = append(&delivery, message(2)).await.unwrap();
    // Its call began at 15 s and could go on until 30 s; its own 15 s ended at 16 s.
    assert!(matches!(second, Err(DeliveryError::Unknown(_))), "{second:?}");
    assert_eq!(log.elapsed(), Duration::from_secs(16));
}

#[tokio::test(start_paused = true)]
async fn a_total_timeout_shorter_than_an_attempt_is_kept() {
    let log = FakeLog::scripted([Step::Hang]);
    let answer = start_hasty(&log).append(message(7)).await;
    assert!(matches!(answer, Err(DeliveryError::Unknown(_))), "{answer:?}");
    assert_eq!(log.elapsed(), Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn the_dispatcher_ends_with_the_last_clone() {
    let log = FakeLog::scripted([]);
    let delivery = start(&log);
    let clone = delivery.clone();
    drop(delivery);
    clone.append(message(7)).await.unwrap();
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive(), 1);
    drop(clone);
    settle().await;
    assert_eq!(alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_dispatcher_leaves_no_append_waiting() {
    let log = FakeLog::scripted([Step::Answer(Duration::from_secs(1)), Step::Panic]);
    let (delivery, first) = busy(&log).await;
    let in_batch = append(&delivery, message(2));
    first.await.unwrap().unwrap();
    let in_batch = in_batch.await.unwrap();
    assert!(matches!(in_batch, Err(DeliveryError::Unknown(_))), "{in_batch:?}");
    let afterwards = delivery.append(message(3)).await;
    assert!(matches!(afterwards, Err(DeliveryError::NotStored(_))), "{afterwards:?}");
    assert_eq!(log.elapsed(), Duration::from_secs(1), "at once, not at the deadline");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_logs_no_retry_and_no_delivery() {
    let lines = Lines::capture();
    let log = FakeLog::scripted([Step::Hang]);
    let (_delivery, dropped) = busy(&log).await;
    dropped.abort();
    at(&log, 10_000).await;
    assert_eq!(lines.all(), Vec::<String>::new());

    let log = FakeLog::scripted([Step::Unreachable]);
    let (_delivery, dropped) = busy(&log).await;
    dropped.abort();
    at(&log, 10_000).await;
    assert_eq!(log.call_ids().len(), 1);
    assert_eq!(lines.all().len(), 1, "only the retry that was planned: {:?}", lines.all());
}

#[tokio::test(start_paused = true)]
async fn a_call_keeps_the_next_waiting_for_the_total_timeout_at_most() {
    let log = FakeLog::scripted([Step::Hang]);
    let delivery = start_hasty(&log);
    let first = append(&delivery, message(1));
    at(&log, 100).await;
    delivery.append(message(2)).await.unwrap();
    assert_eq!(log.call_times(), [0, 300]);
    assert!(first.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_blame_a_failure_that_was_overcome() {
    let log = FakeLog::scripted([Step::Unreachable, Step::Answer(Duration::ZERO), Step::Hang]);
    let delivery = start_hasty(&log);
    delivery.append(message(1)).await.unwrap();
    let answer = delivery.append(message(2)).await;
    assert_eq!(answer, Err(DeliveryError::Unknown("no answer in time".into())));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_does_not_count_as_overcome() {
    let log = FakeLog::scripted([Step::Unreachable, Step::Hang]);
    let delivery = start_hasty(&log);
    let dropped = append(&delivery, message(1));
    settle().await;
    dropped.abort();
    settle().await;
    let Err(DeliveryError::Unknown(reason)) = delivery.append(message(2)).await else {
        panic!("it hangs");
    };
    let text = reason.to_string();
    assert!(text.contains("Connection refused"), "{text}");
}
