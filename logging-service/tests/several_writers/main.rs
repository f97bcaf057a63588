//! A log with several writers: batches of others come first, and answers get lost. Each message is still
//! stored once, and each answer is true.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod doubt;
mod model;
#[path = "../support/mod.rs"]
mod support;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use logging_service::{
    Execution,
    limits::Limits,
    log::{AppendError, Log, ReadRange, State},
    store::Origin,
};
use oncelog::message::{Message, Outcome, Rejection};
use support::{
    all, assert_overloaded, duplicate, id, message, record, scripted_log,
    scripted_store::{Answer, Reading, Script, scripted},
    sequences_to, stored,
};

/// Few attempts, so that a test of the bound is short.
const LIMITS: fn() -> Limits = || Limits { commit_attempts: 4, ..Limits::default() };

fn start() -> (Log, Script) {
    scripted_log(Execution::Tasks, LIMITS())
}

async fn append(log: &Log, messages: Vec<Message>) -> Vec<Outcome> {
    log.append(messages).await.unwrap()
}

/// The log works, and all that is stored can be found and read.
async fn assert_goes_on(log: &Log, script: &Script) {
    assert_eq!(*log.state().borrow(), State::Ready);
    script.settle();
    let next = message(1000 + script.records().len() as u64, "next");
    let outcomes = append(log, vec![next]).await;
    let records = script.records();
    assert_eq!(outcomes, [stored(records.len() as u64)]);
    let expected: Vec<_> = (1..).zip(records).map(|(nth, message)| record(nth, message)).collect();
    assert_eq!(all(log.read(ReadRange::default()).unwrap()).await, expected);
    for record in expected {
        assert_eq!(log.lookup(&record.message.id).await.unwrap(), Some(record));
    }
}

#[tokio::test]
async fn an_overtaken_call_is_stored_behind_the_other_batch() {
    let (log, script) = start();
    script.answer([
        Answer::Overtaken(vec![message(10, "other"), message(11, "other")]),
        Answer::Overtaken(vec![message(12, "other")]),
    ]);
    let outcomes = append(&log, vec![message(1, "a"), message(2, "b")]).await;
    assert_eq!(outcomes, [stored(4), stored(5)]);
    assert_eq!(script.commits(), 3);
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn what_another_writer_stored_first_is_decided_again() {
    let (log, script) = start();
    script.answer([Answer::Overtaken(vec![message(1, "a"), message(2, "other")])]);
    let call = vec![message(1, "a"), message(3, "c"), message(2, "b"), message(1, "a")];
    let outcomes = append(&log, call).await;
    assert_eq!(outcomes, [duplicate(1), stored(3), Outcome::Conflict, duplicate(1)]);
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn a_lost_answer_is_found_and_the_first_copy_is_stored() {
    let (log, script) = start();
    append(&log, vec![message(0, "before")]).await;
    script.answer([Answer::LostReply]);
    let call = vec![message(1, "a"), message(0, "before"), message(1, "a"), message(1, "other")];
    let outcomes = append(&log, call).await;
    assert_eq!(outcomes, [stored(2), duplicate(1), duplicate(2), Outcome::Conflict]);
    assert_eq!(script.commits(), 2, "nothing was left to commit");
    assert_eq!(append(&log, vec![message(1, "a")]).await, [duplicate(2)]);
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn a_lost_request_is_stored_by_the_next_attempt() {
    let (log, script) = start();
    script.answer([Answer::LostRequest, Answer::LostRequest]);
    assert_eq!(append(&log, vec![message(1, "a")]).await, [stored(1)]);
    assert_eq!(script.commits(), 3);
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn an_attempt_that_arrives_late_is_not_stored_again() {
    let (log, script) = start();
    script.answer([Answer::Late]);
    script.read([Reading::Nothing, Reading::Unavailable]);
    assert_eq!(append(&log, vec![message(1, "a"), message(2, "b")]).await, [stored(1), stored(2)]);
    assert_eq!(script.records().len(), 2);
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn a_late_attempt_that_is_overtaken_is_void() {
    let (log, script) = start();
    script.answer([Answer::LateAndOvertaken(vec![message(2, "b")])]);
    let outcomes = append(&log, vec![message(1, "a"), message(2, "b")]).await;
    assert_eq!(outcomes, [stored(2), duplicate(1)]);
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn a_call_that_is_always_overtaken_is_refused_as_not_stored() {
    let (log, script) = start();
    script.answer((10..).take(4).map(|n| Answer::Overtaken(vec![message(n, "other")])));
    let outcomes = append(&log, vec![message(1, "a"), message(10, "other")]).await;
    assert_overloaded(&outcomes[..1]);
    assert!(matches!(outcomes[1..], [Outcome::Duplicate(_)]), "{outcomes:?}");
    assert_eq!(script.commits(), 4);
    assert_eq!(log.lookup(&id(1)).await.unwrap(), None);
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn a_call_without_any_answer_is_unknown_and_the_log_goes_on() {
    let (log, script) = start();
    append(&log, vec![message(0, "before")]).await;
    script.cycle([Answer::LostRequest]);
    let call = vec![message(1, "a"), message(0, "before")];
    assert_eq!(log.append(call).await, Err(AppendError::Unknown));
    assert_eq!(script.commits(), 5);
    assert_goes_on(&log, &script).await;
    assert_eq!(append(&log, vec![message(1, "a")]).await, [stored(3)]);
}

#[tokio::test]
async fn a_call_ends_after_its_time_whatever_the_store_does() {
    let limits =
        Limits { commit_attempts: u32::MAX, commit_retry_time: Duration::ZERO, ..LIMITS() };
    let (log, script) = scripted_log(Execution::Tasks, limits);
    script.cycle([Answer::LostRequest]);
    assert_eq!(log.append(vec![message(1, "a")]).await, Err(AppendError::Unknown));
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn an_attempt_that_arrives_after_its_answer_is_a_duplicate_then() {
    let limits = Limits { commit_attempts: 1, ..LIMITS() };
    let (log, script) = scripted_log(Execution::Tasks, limits);
    script.answer([Answer::Late]);
    assert_eq!(log.append(vec![message(1, "a")]).await, Err(AppendError::Unknown));
    // The second call has to read on first, so it needs a second attempt at most.
    let again = log.append(vec![message(1, "a"), message(2, "b")]).await.unwrap();
    assert_eq!(again[0], duplicate(1));
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn only_calls_with_a_message_in_doubt_are_unknown() {
    let (log, script) = start();
    script.answer([Answer::Overtaken(vec![message(1, "theirs")])]);
    script.cycle([Answer::LostRequest]);
    // They are in one group: as a task, the committer begins once all have been submitted.
    let calls = [vec![message(2, "in doubt")], vec![message(1, "theirs")], vec![message(3, "too")]];
    let replies = join_all(calls.map(|call| log.append(call))).await;
    let unknown = || Err(AppendError::Unknown);
    assert_eq!(replies, [unknown(), Ok(vec![duplicate(1)]), unknown()]);
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn without_a_leader_a_call_is_refused_as_not_stored() {
    let (log, script) = start();
    script.answer([Answer::NoLeader]);
    assert_overloaded(&append(&log, vec![message(1, "a")]).await);
    assert_goes_on(&log, &script).await;
    assert_eq!(append(&log, vec![message(1, "a")]).await, [stored(2)]);
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_is_not_called_not_stored() {
    for refusal in [Answer::NoLeader, Answer::NoSpace] {
        let (log, script) = start();
        let is_full = matches!(refusal, Answer::NoSpace);
        script.answer([Answer::LostRequest, refusal]);
        assert_eq!(log.append(vec![message(1, "a")]).await, Err(AppendError::Unknown));
        assert_eq!(matches!(*log.state().borrow(), State::ReadOnly(_)), is_full);
    }
}

#[tokio::test]
async fn a_refusal_after_another_batch_was_read_is_certain() {
    let (log, script) = start();
    script.answer([Answer::LateAndOvertaken(vec![message(9, "other")]), Answer::NoLeader]);
    assert_overloaded(&append(&log, vec![message(1, "a")]).await);
    script.settle();
    assert_eq!(script.records(), [message(9, "other")], "the lost attempt is void");
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn batches_of_others_reach_followers_like_own_ones() {
    let (log, script) = start();
    let mut follower = log.read(ReadRange { follow: true, ..ReadRange::default() }).unwrap();
    script.answer([Answer::Overtaken(vec![message(10, "other"), message(11, "other")])]);
    append(&log, vec![message(1, "own")]).await;
    assert_eq!(sequences_to(&mut follower, 3).await, [1, 2, 3]);
    let origins: Vec<_> = script.log().iter().map(|entry| entry.origin).collect();
    assert_eq!(origins, [Origin::Other, Origin::Own]);
}

#[tokio::test]
async fn a_store_that_fails_to_read_on_fails_the_log() {
    let (log, script) = start();
    script.answer([Answer::LostReply]);
    script.read([Reading::Fails]);
    assert_eq!(log.append(vec![message(1, "a")]).await, Err(AppendError::Failed));
    assert!(matches!(*log.state().borrow(), State::Failed(_)));
}
