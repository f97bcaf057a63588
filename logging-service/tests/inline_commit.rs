//! Which thread makes the commits, and that it makes no difference.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use logging_service::{
    Execution,
    limits::{InlineCommitLimits, Limits},
    log::{AppendError, Log, State},
};
use oncelog::message::{Outcome, Receipt, Rejection};
use support::{
    message, scripted_log,
    scripted_store::{Answer, SLOW_COMMIT, Script},
    stored, wait_for,
};

/// For as long as a slow machine may need.
const TIMEOUT: Duration = Duration::from_secs(30);

const COMMITTER: Option<&str> = Some("committer");

/// A commit is fast unless the disk is slow, and calls never come too soon or too late.
fn thresholds() -> InlineCommitLimits {
    InlineCommitLimits {
        commit_time_max: SLOW_COMMIT / 2,
        fast_commits_min: 4,
        gap_min: Duration::ZERO,
        gap_max: Duration::MAX,
        ..Limits::default().inline_commit
    }
}

/// A log on a disk so fast that handlers commit by themselves, what it holds, and its script.
struct FastLog {
    log: Log,
    messages: u64,
    script: Script,
}

impl FastLog {
    async fn start() -> Self {
        Self::with(thresholds()).await
    }

    /// The committer thread may still be busy with a commit whose call has been answered, so the first
    /// inline commit comes some appends later than it could.
    async fn with(inline_commit: InlineCommitLimits) -> Self {
        let limits = Limits { inline_commit, ..Limits::default() };
        let (log, script) = scripted_log(Execution::Threads, limits);
        let mut fast = Self { log, messages: 0, script };
        let started = Instant::now();
        while fast.messages == 0 || fast.is_by_thread() {
            assert!(started.elapsed() < TIMEOUT, "no handler ever made a commit");
            thread::sleep(inline_commit.gap_min);
            fast.append().await;
        }
        fast
    }

    async fn append(&mut self) {
        let outcomes = self.log.append(vec![message(self.messages, "msg")]).await.unwrap();
        self.messages += 1;
        assert_eq!(outcomes, [stored(self.messages)]);
    }

    /// Whether the committer thread made the last commit.
    fn is_by_thread(&self) -> bool {
        self.script.committers().pop().unwrap().as_deref() == COMMITTER
    }
}

#[tokio::test]
async fn handlers_commit_only_after_many_fast_commits_in_a_row() {
    let fast = FastLog::start().await;
    let committers = fast.script.committers();
    let by_the_thread = committers.iter().filter(|name| name.as_deref() == COMMITTER).count();
    assert!(by_the_thread >= thresholds().fast_commits_min as usize);
    assert_eq!(by_the_thread, committers.len() - 1);
}

#[tokio::test]
async fn after_a_slow_commit_the_committer_thread_makes_them_again() {
    let mut fast = FastLog::start().await;
    fast.script.cycle([Answer::Slow]);
    fast.append().await;
    fast.script.cycle([Answer::Stored]);
    for _ in 0..thresholds().fast_commits_min {
        fast.append().await;
        assert!(fast.is_by_thread());
    }
}

#[tokio::test]
async fn after_a_slow_seal_the_committer_thread_makes_the_commits() {
    let mut fast = FastLog::start().await;
    let mut seals = fast.script.seals();
    for _ in 0..10 {
        let before = *seals.borrow_and_update();
        fast.append().await;
        fast.script.cycle([Answer::Slow]);
        let sealed = seals.wait_for(|seals| *seals > before);
        drop(tokio::time::timeout(TIMEOUT, sealed).await.unwrap().unwrap());
        fast.script.cycle([Answer::Stored]);
        fast.append().await;
        if fast.is_by_thread() {
            return;
        }
        // This test was held up for so long that the seal was written before the disk was slow.
    }
    panic!("handlers went on making the commits");
}

#[tokio::test]
async fn how_fast_a_disk_was_a_while_ago_does_not_count() {
    let gap_max = Duration::from_millis(200);
    let mut fast = FastLog::with(InlineCommitLimits { gap_max, ..thresholds() }).await;
    thread::sleep(gap_max);
    fast.append().await;
    assert!(fast.is_by_thread());
}

#[tokio::test]
async fn an_idle_log_is_sealed_whichever_thread_made_the_commits() {
    let mut fast = FastLog::start().await;
    let mut seals = fast.script.seals();
    for _ in 0..3 {
        let before = *seals.borrow_and_update();
        fast.append().await;
        let sealed = seals.wait_for(|seals| *seals > before);
        tokio::time::timeout(TIMEOUT, sealed).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_inline_commit_that_fails_or_panics_fails_the_log() {
    for trouble in [Answer::Fails, Answer::Panics, Answer::WrongSequence] {
        let fast = FastLog::start().await;
        fast.script.cycle([trouble]);
        let lost = fast.log.append(vec![message(fast.messages, "lost")]).await;
        assert_eq!(lost, Err(AppendError::Failed));
        assert!(!fast.is_by_thread());
        assert!(matches!(&*fast.log.state().borrow(), State::Failed(_)));
        fast.script.cycle([Answer::Stored]);
        let later = fast.log.append(vec![message(fast.messages, "later")]).await;
        assert_eq!(later, Err(AppendError::Failed));
        tokio::time::timeout(TIMEOUT, fast.log.close()).await.unwrap();
    }
}

#[tokio::test]
async fn a_stop_seals_the_end_and_nothing_is_taken_after_it() {
    let mut fast = FastLog::start().await;
    fast.append().await;
    let before = *fast.script.seals().borrow();
    tokio::time::timeout(TIMEOUT, fast.log.close()).await.unwrap();
    assert!(*fast.script.seals().borrow() > before);
    let late = fast.log.append(vec![message(fast.messages, "late")]).await;
    assert_eq!(late, Err(AppendError::Draining));
}

#[tokio::test]
async fn calls_that_come_together_are_left_to_the_committer_thread() {
    const TOGETHER: u64 = 64;
    let gap_min = Duration::from_millis(5);
    // No fast commit is needed: only the gap can keep handlers from it.
    let inline_commit = InlineCommitLimits { fast_commits_min: 0, gap_min, ..thresholds() };
    let limits = Limits { inline_commit, ..Limits::default() };
    let (log, script) = scripted_log(Execution::Threads, limits);
    thread::sleep(gap_min);
    let appends = (0..TOGETHER).map(|id| log.append(vec![message(id, "msg")]));
    for outcomes in join_all(appends).await {
        assert!(matches!(outcomes.unwrap()[..], [Outcome::Stored(_)]));
    }
    let committers = script.committers();
    assert_ne!(committers[0].as_deref(), COMMITTER, "the first call is alone");
    let inline = committers.iter().filter(|name| name.as_deref() != COMMITTER).count();
    assert!(inline < TOGETHER as usize / 2, "{committers:?}");
}

#[tokio::test]
async fn a_full_disk_met_by_an_inline_commit_refuses_and_recovers() {
    let mut fast = FastLog::start().await;
    fast.script.cycle([Answer::NoSpace]);
    let refused = fast.log.append(vec![message(fast.messages, "msg")]).await.unwrap();
    assert!(matches!(refused[..], [Outcome::Rejected(Rejection::ReadOnly(_))]), "{refused:?}");
    fast.script.cycle([Answer::Stored]);
    wait_for(&fast.log, |state| *state == State::Ready).await;
    fast.append().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_several_threads_each_message_is_stored_once() {
    const CLIENTS: u64 = 4;
    const MESSAGES: u64 = 300;
    // As in production, so that threads take turns.
    let gap_min = Limits::default().inline_commit.gap_min;
    let fast = FastLog::with(InlineCommitLimits { gap_min, ..thresholds() }).await;
    let first = fast.messages;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let log = fast.log.clone();
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                for id in first..first + MESSAGES {
                    outcomes.extend(log.append(vec![message(id, "msg")]).await.unwrap());
                    thread::sleep(gap_min * u32::from(id % 3 == 0));
                }
                outcomes
            })
        })
        .collect();
    let mut stored_at: HashMap<u64, Receipt> = HashMap::new();
    let mut answers = Vec::new();
    for client in clients {
        answers.extend((first..).zip(client.await.unwrap()));
    }
    for (id, outcome) in &answers {
        if let Outcome::Stored(receipt) = outcome {
            assert_eq!(stored_at.insert(*id, *receipt), None, "stored twice");
        }
    }
    for (id, outcome) in answers {
        let (Outcome::Stored(receipt) | Outcome::Duplicate(receipt)) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(stored_at.get(&id), Some(&receipt));
    }
    assert_eq!(fast.log.last_sequence(), first + MESSAGES);
}
