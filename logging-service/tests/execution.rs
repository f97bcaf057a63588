//! The log keeps its promises whatever runs it: a thread of its own, or a task on the runtime.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use futures_util::future::join_all;
use logging_service::{
    Execution,
    limits::Limits,
    log::{AppendError, Log, ReadRange, State},
};
use support::{
    all, duplicate, id, log_with, message, record,
    scripted_store::{Answer, Script, scripted},
    stored,
};
use tokio::time::{Duration, timeout};

const BOTH: [Execution; 2] = [Execution::Threads, Execution::Tasks];

fn start(execution: Execution) -> (Log, Script) {
    let (opened, script, _) = scripted();
    (log_with(opened, execution, Limits::default()), script)
}

async fn failed(log: &Log) {
    let mut states = log.state();
    let failing = states.wait_for(|state| matches!(state, State::Failed(_)));
    timeout(Duration::from_secs(30), failing).await.unwrap().unwrap();
}

#[tokio::test]
async fn either_way_each_message_is_stored_once_and_can_be_read() {
    for execution in BOTH {
        let (log, _script) = start(execution);
        assert_eq!(log.append(vec![message(1, "msg1")]).await.unwrap(), [stored(1)]);
        let again = log.append(vec![message(1, "msg1"), message(2, "msg2")]).await.unwrap();
        assert_eq!(again, [duplicate(1), stored(2)], "{execution:?}");
        assert_eq!(log.lookup(&id(2)).await.unwrap(), Some(record(2, message(2, "msg2"))));
        let all = all(log.read(ReadRange::default())).await;
        assert_eq!(all, [record(1, message(1, "msg1")), record(2, message(2, "msg2"))]);
    }
}

#[tokio::test]
async fn either_way_a_stop_answers_what_was_submitted_before_it() {
    for execution in BOTH {
        let (log, script) = start(execution);
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
            let (log, script) = start(execution);
            script.cycle([trouble]);
            let appends = (1..=5).map(|nth| log.append(vec![message(nth, "msg")]));
            for answer in join_all(appends).await {
                assert_eq!(answer, Err(AppendError::Failed), "{execution:?}");
            }
            failed(&log).await;
            log.close().await;
        }
    }
}
