//! The log keeps its promises whatever runs it: a thread of its own, or a task on the runtime.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use logging_service::{
    Execution,
    console::Console,
    limits::Limits,
    log::{AppendError, Log, ReadRange, State},
    open_journal,
    store::journal::{Options, disk::SimulatedDisk},
};
use oncelog::{clock::Clock, message::Outcome};
use support::{
    all, duplicate, id, message, record, scripted_log, scripted_store::Answer, stored, wait_for,
};

const BOTH: [Execution; 2] = [Execution::Threads, Execution::Tasks];

#[tokio::test]
async fn either_way_each_message_is_stored_once_and_can_be_read() {
    for execution in BOTH {
        let (log, _script) = scripted_log(execution, Limits::default());
        assert_eq!(log.append(vec![message(1, "msg1")]).await.unwrap(), [stored(1)]);
        let again = log.append(vec![message(1, "msg1"), message(2, "msg2")]).await.unwrap();
        assert_eq!(again, [duplicate(1), stored(2)], "{execution:?}");
        assert_eq!(log.lookup(&id(2)).await.unwrap(), Some(record(2, message(2, "msg2"))));
        let all = all(log.read(ReadRange::default()).unwrap()).await;
        assert_eq!(all, [record(1, message(1, "msg1")), record(2, message(2, "msg2"))]);
    }
}

#[tokio::test]
async fn either_way_a_stop_answers_what_was_submitted_before_it() {
    for execution in BOTH {
        let (log, script) = scripted_log(execution, Limits::default());
        let appends = (1..=20).map(|nth| log.append(vec![message(nth, "msg")]));
        let (answers, ()) = tokio::join!(join_all(appends), log.close());
        assert!(answers.iter().all(Result::is_ok), "{execution:?}: {answers:?}");
        assert_eq!(script.batches().iter().sum::<usize>(), 20, "{execution:?}");
        let late = log.append(vec![message(21, "late")]).await;
        assert_eq!(late, Err(AppendError::Draining), "{execution:?}");
    }
}

#[tokio::test]
async fn either_way_a_failure_or_a_panic_is_told_to_every_waiter() {
    for execution in BOTH {
        for trouble in [Answer::Fails, Answer::Panics, Answer::WrongSequence] {
            let (log, script) = scripted_log(execution, Limits::default());
            script.cycle([trouble]);
            let appends = (1..=5).map(|nth| log.append(vec![message(nth, "msg")]));
            for answer in join_all(appends).await {
                assert_eq!(answer, Err(AppendError::Failed), "{execution:?}");
            }
            wait_for(&log, |state| matches!(state, State::Failed(_))).await;
            log.close().await;
        }
    }
}

/// A clock that stands still anywhere.
struct Standing(SystemTime);

impl Clock for Standing {
    fn now(&self) -> SystemTime {
        self.0
    }
}

#[tokio::test]
async fn a_receipt_and_its_record_agree_whatever_the_clock_says() {
    let distances = [0, 1, 1 << 31, 1 << 32, 253_402_300_800, 1 << 45];
    for distance in distances.map(|seconds| Duration::new(seconds, 5)) {
        for time in [SystemTime::UNIX_EPOCH - distance, SystemTime::UNIX_EPOCH + distance] {
            let disk = Arc::new(SimulatedDisk::new());
            let open = || {
                let options = Options { segment_bytes: 64 * 1024, ..Options::default() };
                let opened = open_journal(disk.clone(), options).unwrap();
                let (clock, limits) = (Arc::new(Standing(time)), Limits::default());
                Log::start(opened, clock, Console::off(), Execution::Threads, limits).unwrap()
            };
            let log = open();
            let first = log.append(vec![message(1, "msg")]).await.unwrap();
            let [Outcome::Stored(receipt)] = first[..] else { panic!("{first:?}") };
            assert_eq!(log.lookup(&id(1)).await.unwrap().unwrap().receipt, receipt, "{time:?}");
            log.close().await;
            let again = open().append(vec![message(1, "msg")]).await.unwrap();
            assert_eq!(again, [Outcome::Duplicate(receipt)], "{time:?}");
        }
    }
}
