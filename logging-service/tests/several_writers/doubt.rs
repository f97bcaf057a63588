//! Calls that ended while it was unknown what is stored, and what comes after them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::{
    Event, Level, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};

use super::*;

/// Longer than the committer waits before it reads on, in the time of a paused clock.
const LONG: Duration = Duration::from_secs(60);

fn start_with(commit_attempts: u32) -> (Log, Script) {
    scripted_log(Execution::Tasks, Limits { commit_attempts, ..LIMITS() })
}

/// A call with this message ends in doubt: it is stored, but the log cannot be read.
async fn store_unnoticed(log: &Log, script: &Script, message: Message) {
    script.answer([Answer::LostReply]);
    script.read([Reading::Unavailable; 4]);
    assert_eq!(log.append(vec![message]).await, Err(AppendError::Unknown));
    assert_eq!(log.last_sequence(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_log_reads_what_a_lost_reply_has_stored() {
    let (log, script) = start();
    let mut follower = log.read(ReadRange { follow: true, ..ReadRange::default() }).unwrap();
    store_unnoticed(&log, &script, message(1, "a")).await;
    script.read([Reading::Unavailable; 3]);
    let seen = tokio::time::timeout(LONG, sequences_to(&mut follower, 1)).await;
    assert_eq!(seen, Ok(vec![1]), "no call came, and the log did not read on");
    assert_eq!(log.last_sequence(), 1);
    assert_eq!(log.lookup(&id(1)).await.unwrap(), Some(record(1, message(1, "a"))));
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn a_refusal_does_not_deny_the_attempt_of_an_earlier_call() {
    for refusal in [Answer::NoLeader, Answer::NoSpace] {
        let (log, script) = start_with(1);
        script.answer([Answer::Late, refusal]);
        assert_eq!(log.append(vec![message(1, "a")]).await, Err(AppendError::Unknown));
        // They are in one group. Another message than the one in doubt surely is not stored.
        let calls = [vec![message(1, "a")], vec![message(2, "b")]];
        let [again, other] = join_all(calls.map(|call| log.append(call))).await.try_into().unwrap();
        assert_eq!(again, Err(AppendError::Unknown));
        assert!(matches!(other.unwrap()[..], [Outcome::Rejected(_)]));
        script.settle();
        assert_eq!(script.records(), [message(1, "a")]);
    }
}

#[tokio::test]
async fn a_used_up_call_does_not_deny_what_an_earlier_one_stored() {
    let (log, script) = start();
    store_unnoticed(&log, &script, message(1, "a")).await;
    script.read([Reading::Unavailable; 5]);
    assert_eq!(log.append(vec![message(1, "a")]).await, Err(AppendError::Unknown));
    assert_eq!(append(&log, vec![message(1, "a")]).await, [duplicate(1)]);
    assert_goes_on(&log, &script).await;
}

#[tokio::test]
async fn what_an_earlier_call_has_stored_is_a_duplicate() {
    for (call, outcomes) in [
        (vec![message(1, "a")], vec![duplicate(1)]),
        (vec![message(1, "a"), message(2, "b")], vec![duplicate(1), stored(2)]),
    ] {
        let (log, script) = start_with(3);
        script.answer([Answer::Late, Answer::LostRequest, Answer::LostRequest]);
        assert_eq!(log.append(vec![message(1, "a")]).await, Err(AppendError::Unknown));
        // The second call has an attempt in doubt as well when the first one's arrives.
        script.answer([Answer::LostRequest]);
        assert_eq!(append(&log, call).await, outcomes);
        assert_goes_on(&log, &script).await;
    }
}

#[tokio::test]
async fn a_refusal_blames_other_writers_only_if_they_came_first() {
    for (readings, blamed) in [(Vec::new(), true), (vec![Reading::Unavailable; 4], false)] {
        let (log, script) = start();
        script.answer((10..14).map(|n| Answer::Overtaken(vec![message(n, "other")])));
        script.read(readings);
        let outcomes = append(&log, vec![message(1, "a")]).await;
        let [Outcome::Rejected(Rejection::Overloaded(reason))] = &outcomes[..] else {
            panic!("{outcomes:?}")
        };
        assert_eq!(reason.contains("other writers"), blamed, "{reason}");
    }
}

/// Counts the warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_call_without_an_answer_is_warned_of_once() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let (log, script) = start();
    script.cycle([Answer::LostRequest]);
    script.read([Reading::Unavailable, Reading::Nothing]);
    let mut warned = 0;
    for _ in 0..10 {
        // A test without a subscriber may just have switched the warning off for all threads.
        tracing::callsite::rebuild_interest_cache();
        assert_eq!(log.append(vec![message(1, "a")]).await, Err(AppendError::Unknown));
        warned = warnings.0.swap(0, Ordering::Relaxed);
        if warned > 0 {
            break;
        }
    }
    assert_eq!(warned, 1);
    assert_goes_on(&log, &script).await;
}
