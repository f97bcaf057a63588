//! What the log answers while its disk is slow, full or broken.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use logging_service::{
    Execution,
    limits::Limits,
    log::{AppendError, Index, Log, OpenStore, ReadRange, State},
    store::journal::{
        Journal, Options,
        disk::{Removal, SimulatedDisk},
    },
};
use oncelog::{
    limits::MESSAGE_BODY_BYTES_MAX,
    message::{Message, Outcome, Rejection, StoredMessage},
};
use support::{
    all, assert_overloaded, duplicate, id, log, log_with, message, scripted_log,
    scripted_store::{Answer, Held, Script, scripted},
    stored, wait_for,
};

/// Starts an append and gives it the chance to reach the committer thread.
async fn begin(log: &Log, messages: Vec<Message>) -> Appending {
    let log = log.clone();
    let appending = tokio::spawn(async move { log.append(messages).await });
    tokio::task::yield_now().await;
    appending
}

type Appending = tokio::task::JoinHandle<Result<Vec<Outcome>, AppendError>>;

async fn read_all(log: &Log) -> Vec<StoredMessage> {
    all(log.read(ReadRange::default()).unwrap()).await
}

/// A log whose first call, with message 0, stands in front of a disk that is held up.
struct HeldLog {
    log: Log,
    script: Script,
    held: Held,
    first: Appending,
}

async fn held_log(limits: Limits) -> HeldLog {
    let (store, script, commits) = scripted();
    let log = log_with(store, Execution::Threads, limits);
    let held = script.hold_commits();
    let first = begin(&log, vec![message(0, "first")]).await;
    commits.recv().unwrap();
    HeldLog { log, script, held, first }
}

/// Begins an append for each of `numbers`.
async fn begin_each(log: &Log, numbers: RangeInclusive<u64>) -> Vec<Appending> {
    let mut appending = Vec::new();
    for number in numbers {
        appending.push(begin(log, vec![message(number, "waits")]).await);
    }
    appending
}

#[tokio::test]
async fn a_duplicate_of_a_message_being_written_waits_for_the_same_disk() {
    let (store, script, commits) = scripted();
    let log = log(store);
    let held = script.hold_commits();
    let first = begin(&log, vec![message(1, "msg1")]).await;
    commits.recv().unwrap();
    let second = begin(&log, vec![message(1, "msg1")]).await;

    // No caller or reader may learn of it before it is durable.
    assert_eq!(log.lookup(&id(1)).await.unwrap(), None);
    assert_eq!(read_all(&log).await, []);
    assert!(!first.is_finished() && !second.is_finished());

    drop(held);
    assert_eq!(first.await.unwrap().unwrap(), [stored(1)]);
    assert_eq!(second.await.unwrap().unwrap(), [duplicate(1)]);
}

#[tokio::test]
async fn calls_that_wait_for_the_disk_share_the_next_commit() {
    let HeldLog { log, script, held, first } = held_log(Limits::default()).await;
    let waiting = begin_each(&log, 1..=10).await;
    drop(held);
    first.await.unwrap().unwrap();
    for appending in waiting {
        appending.await.unwrap().unwrap();
    }
    assert_eq!(script.batches(), [1, 10]);
}

/// A commit with this answer fails every call that waits for it, and the log.
async fn fails_every_waiter_and_the_log(answer: Answer) {
    let (store, script, commits) = scripted();
    let log = log(store);
    assert_eq!(log.append(vec![message(0, "safe")]).await.unwrap(), [stored(1)]);
    commits.recv().unwrap();

    let held = script.hold_commits();
    script.cycle([answer]);
    let leader = begin(&log, vec![message(1, "leader")]).await;
    commits.recv().unwrap();
    let copy = begin(&log, vec![message(1, "leader"), message(2, "neighbour")]).await;
    let waiting = begin(&log, vec![message(2, "waits")]).await;
    drop(held);
    for call in [leader, copy, waiting] {
        assert_eq!(call.await.unwrap(), Err(AppendError::Failed));
    }

    // It stays failed, whatever the disk does next: a retried sync lies.
    assert!(matches!(wait_for(&log, |state| *state != State::Ready).await, State::Failed(_)));
    script.cycle([Answer::Stored]);
    assert_eq!(log.append(vec![message(3, "later")]).await, Err(AppendError::Failed));
    // Nothing of it is known, whatever the store has kept.
    assert_eq!(log.last_sequence(), 1);
    assert_eq!(log.lookup(&id(1)).await.unwrap(), None);
    assert_eq!(log.append(vec![message(0, "safe")]).await.unwrap(), [duplicate(1)]);
}

#[tokio::test]
async fn a_failed_commit_fails_every_waiter_and_the_log() {
    fails_every_waiter_and_the_log(Answer::Fails).await;
}

#[tokio::test]
async fn a_failed_assertion_in_the_committer_fails_the_log() {
    fails_every_waiter_and_the_log(Answer::WrongSequence).await;
}

#[tokio::test]
async fn a_panic_of_the_committer_fails_the_log() {
    let (log, script) = scripted_log(Execution::Threads, Limits::default());
    script.cycle([Answer::Panics]);
    assert_eq!(log.append(vec![message(1, "msg1")]).await, Err(AppendError::Failed));
    assert!(matches!(wait_for(&log, |state| *state != State::Ready).await, State::Failed(_)));
}

#[tokio::test]
async fn a_full_disk_refuses_new_messages_and_recovers() {
    let (log, script) = scripted_log(Execution::Threads, Limits::default());
    assert_eq!(log.append(vec![message(0, "safe")]).await.unwrap(), [stored(1)]);

    script.cycle([Answer::NoSpace]);
    let batch = vec![message(1, "new"), message(0, "safe"), message(1, "new"), message(0, "other")];
    let outcomes = log.append(batch).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Rejected(Rejection::ReadOnly(_))), "{outcomes:?}");
    assert_eq!(outcomes[1], duplicate(1));
    assert!(matches!(outcomes[2], Outcome::Rejected(Rejection::ReadOnly(_))), "{outcomes:?}");
    assert_eq!(outcomes[3], Outcome::Conflict);
    assert!(matches!(wait_for(&log, |state| *state != State::Ready).await, State::ReadOnly(_)));
    assert_eq!(read_all(&log).await.len(), 1);

    // Clients that keep trying must not keep the log from looking at its disk.
    script.cycle([Answer::Stored]);
    let started = Instant::now();
    while log.append(vec![message(1, "new")]).await.unwrap() != [stored(2)] {
        assert!(started.elapsed() < Duration::from_secs(30), "still refused");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(*log.state().borrow(), State::Ready);
}

/// A new journal, each segment of which holds few records.
fn journal(disk: &SimulatedDisk) -> Journal {
    let options = Options { segment_bytes: 1024, ..Options::default() };
    Journal::open(Arc::new(disk.clone()), options, &mut |_, _| {}, &mut |_| {}).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stop_notices_a_segment_that_was_just_removed() {
    for execution in [Execution::Tasks, Execution::Threads] {
        let disk = SimulatedDisk::new();
        let opened = OpenStore { store: Box::new(journal(&disk)), index: Index::default() };
        let log = log_with(opened, execution, Limits::default());
        for number in 1..=30 {
            assert_eq!(log.append(vec![message(number, "safe")]).await.unwrap(), [stored(number)]);
        }
        let (first, _) = disk.contents().swap_remove(0);
        disk.delete(&first);
        log.drain();
        log.close().await;
        let State::Orphaned(reason) = log.state().borrow().clone() else {
            panic!("{:?}", log.state().borrow())
        };
        assert!(reason.contains(&first), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_orphaned_log_answers_no_duplicate_whoever_noticed() {
    // By the seal of an idle log, and by the check that comes once a second.
    for pause in [Duration::from_millis(500), Duration::from_secs(3)] {
        let disk = SimulatedDisk::new();
        let opened = OpenStore { store: Box::new(journal(&disk)), index: Index::default() };
        let log = log_with(opened, Execution::Tasks, Limits::default());
        assert_eq!(log.append(vec![message(1, "safe")]).await.unwrap(), [stored(1)]);
        if pause > Duration::from_secs(1) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        disk.remove_from_outside(Removal::Directory);
        tokio::time::sleep(pause).await;
        assert!(matches!(*log.state().borrow(), State::Orphaned(_)), "{pause:?}");

        let outcomes = log.append(vec![message(1, "safe")]).await.unwrap();
        assert!(
            matches!(outcomes[..], [Outcome::Rejected(Rejection::Unreadable(_))]),
            "{outcomes:?}"
        );
        let outcomes = log.append(vec![message(2, "new")]).await.unwrap();
        assert!(
            matches!(outcomes[..], [Outcome::Rejected(Rejection::ReadOnly(_))]),
            "{outcomes:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_log_whose_files_are_removed_says_that_instead() {
    let disk = SimulatedDisk::new();
    let opened = OpenStore { store: Box::new(journal(&disk)), index: Index::default() };
    let log = log_with(opened, Execution::Tasks, Limits::default());
    assert_eq!(log.append(vec![message(1, "safe")]).await.unwrap(), [stored(1)]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    disk.set_capacity(Some(1024));
    let large = || vec![message(2, &"x".repeat(900))];
    log.append(large()).await.unwrap();
    assert!(matches!(*log.state().borrow(), State::ReadOnly(_)));
    // The next message comes when a probe for space is due, and no check of the place.
    tokio::time::sleep(Duration::from_millis(700)).await;
    disk.remove_from_outside(Removal::Directory);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(matches!(*log.state().borrow(), State::ReadOnly(_)));
    let outcomes = log.append(large()).await.unwrap();
    let [Outcome::Rejected(Rejection::ReadOnly(told))] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    let State::Orphaned(reason) = log.state().borrow().clone() else {
        panic!("{:?}", log.state().borrow())
    };
    assert!(told.contains(&reason), "{told}");
}

#[tokio::test]
async fn a_full_commit_queue_refuses_at_once_and_stores_nothing() {
    let limits = Limits { appends_waiting: 100, ..Limits::default() };
    let HeldLog { log, held, first, .. } = held_log(limits).await;
    let waiting = begin_each(&log, 1..=100).await;
    assert_overloaded(&log.append(vec![message(9999, "too many")]).await.unwrap());
    drop(held);
    first.await.unwrap().unwrap();
    for appending in waiting {
        assert!(matches!(appending.await.unwrap().unwrap()[..], [Outcome::Stored(_)]));
    }
    assert_eq!(log.lookup(&id(9999)).await.unwrap(), None);
}

#[tokio::test]
async fn more_bytes_than_may_wait_are_refused() {
    let large = message(0, &"x".repeat(MESSAGE_BODY_BYTES_MAX));
    let large = |nth| Message { id: id(nth), ..large.clone() };
    let (store, script, commits) = scripted();
    let limits = Limits { append_bytes_waiting: 2 * MESSAGE_BODY_BYTES_MAX, ..Limits::default() };
    let log = log_with(store, Execution::Threads, limits);
    for nth in 0..=2 {
        assert_eq!(log.append(vec![large(nth)]).await.unwrap(), [stored(nth + 1)]);
        commits.recv().unwrap();
    }
    let held = script.hold_commits();
    let first = begin(&log, vec![large(3)]).await;
    commits.recv().unwrap();
    let waiting = [begin(&log, vec![large(4)]).await, begin(&log, vec![large(5)]).await];
    assert_overloaded(&log.append(vec![message(9999, "x")]).await.unwrap());
    drop(held);
    assert_eq!(first.await.unwrap().unwrap(), [stored(4)]);
    for (sequence, appending) in (5..).zip(waiting) {
        assert_eq!(appending.await.unwrap().unwrap(), [stored(sequence)]);
    }
    assert_eq!(log.append(vec![large(6)]).await.unwrap(), [stored(7)]);
    assert_eq!(log.lookup(&id(9999)).await.unwrap(), None);
}

#[tokio::test]
async fn closing_finishes_what_was_submitted() {
    // Whether the stop is found beside the work or after it is a race: both must do.
    for _ in 0..50 {
        let HeldLog { log, held, first, .. } = held_log(Limits::default()).await;
        let second = begin(&log, vec![message(2, "waits")]).await;
        let closing = tokio::spawn(async move { log.close().await });
        // The stop is submitted from another thread: give it the time to arrive.
        tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        drop(held);
        assert_eq!(first.await.unwrap().unwrap(), [stored(1)]);
        assert_eq!(second.await.unwrap().unwrap(), [stored(2)]);
        closing.await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_commit_fails_all_calls_that_share_it() {
    let HeldLog { log, script, held, first } = held_log(Limits::default()).await;
    script.answer([Answer::Stored]);
    script.cycle([Answer::Fails]);
    let sharing = begin_each(&log, 1..=3).await;
    drop(held);
    assert_eq!(first.await.unwrap().unwrap(), [stored(1)]);
    for appending in sharing {
        assert_eq!(appending.await.unwrap(), Err(AppendError::Failed));
    }
}

#[tokio::test]
async fn a_caller_that_leaves_takes_nothing_from_its_neighbours() {
    let HeldLog { log, held, first, .. } = held_log(Limits::default()).await;
    let leaving = begin(&log, vec![message(1, "leaves")]).await;
    let neighbour = begin(&log, vec![message(2, "stays")]).await;
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    drop(held);
    assert_eq!(first.await.unwrap().unwrap(), [stored(1)]);
    assert_eq!(neighbour.await.unwrap().unwrap(), [stored(3)]);
    assert_eq!(log.append(vec![message(1, "leaves")]).await.unwrap(), [duplicate(2)]);
}

#[tokio::test]
async fn another_stream_or_content_type_under_a_used_id_is_a_conflict() {
    let (log, _script) = scripted_log(Execution::Threads, Limits::default());
    let first = message(1, "same");
    let stream = Message { stream: "orders".parse().unwrap(), ..first.clone() };
    let content_type = "application/json".parse().unwrap();
    let content_type = Message { content_type, ..first.clone() };
    assert_eq!(log.append(vec![first]).await.unwrap(), [stored(1)]);
    assert_eq!(log.append(vec![stream]).await.unwrap(), [Outcome::Conflict]);
    assert_eq!(log.append(vec![content_type]).await.unwrap(), [Outcome::Conflict]);
}
