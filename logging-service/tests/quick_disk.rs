//! Who makes the commits, and that it makes no difference.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{collections::HashMap, sync::mpsc, thread, time::Duration};

use futures_util::future::join_all;
use logging_service::log::{AppendError, Log, State};
use oncelog::{
    limits::{QUICK_COMMIT_GAP_MAX, QUICK_COMMIT_GAP_MIN, QUICK_COMMITS_MIN},
    message::{Outcome, Receipt, Rejection},
};
use support::{
    faulty_store::{Disk, Switches, faulty},
    log, message, stored,
};

/// For as long as a slow machine may need.
const PATIENCE: Duration = Duration::from_secs(30);

const JOURNAL: Option<&str> = Some("journal");

/// A log on a disk so quick that handlers commit by themselves, what it holds, and its switches.
struct Quick {
    log: Log,
    messages: u64,
    switches: Switches,
    _entries: mpsc::Receiver<()>,
}

impl Quick {
    async fn log() -> Self {
        let (store, switches, entries) = faulty();
        let mut quick = Self { log: log(store), messages: 0, switches, _entries: entries };
        while quick.messages == 0 || quick.last_committer().as_deref() == JOURNAL {
            assert!(quick.messages < 100_000, "no handler ever made a commit");
            quick.append().await;
        }
        quick
    }

    /// Appends as one client does, who cannot be back at once.
    async fn append(&mut self) {
        thread::sleep(QUICK_COMMIT_GAP_MIN);
        let outcomes = self.log.append(vec![message(self.messages, "msg")]).await.unwrap();
        self.messages += 1;
        assert_eq!(outcomes, [stored(self.messages)]);
    }

    fn last_committer(&self) -> Option<String> {
        self.switches.committers().pop().unwrap()
    }
}

#[tokio::test]
async fn only_after_many_quick_commits_in_a_row_a_handler_makes_one() {
    let quick = Quick::log().await;
    let committers = quick.switches.committers();
    let by_the_thread = committers.iter().filter(|name| name.as_deref() == JOURNAL).count();
    assert!(by_the_thread >= QUICK_COMMITS_MIN as usize);
    assert_eq!(by_the_thread, committers.len() - 1);
}

#[tokio::test]
async fn after_a_slow_commit_the_journal_thread_makes_them_again() {
    let mut quick = Quick::log().await;
    quick.switches.set(Disk::IsSlow);
    quick.append().await;
    quick.switches.set(Disk::Works);
    for _ in 0..QUICK_COMMITS_MIN {
        quick.append().await;
        assert_eq!(quick.last_committer().as_deref(), JOURNAL);
    }
}

#[tokio::test]
async fn after_a_slow_idle_mark_the_journal_thread_makes_the_commits() {
    let mut quick = Quick::log().await;
    let mut marks = quick.switches.idle_marks();
    for _ in 0..10 {
        let before = *marks.borrow_and_update();
        quick.append().await;
        quick.switches.set(Disk::IsSlow);
        let marked = marks.wait_for(|marks| *marks > before);
        drop(tokio::time::timeout(PATIENCE, marked).await.unwrap().unwrap());
        quick.switches.set(Disk::Works);
        quick.append().await;
        if quick.last_committer().as_deref() == JOURNAL {
            return;
        }
        // This test was held up for so long that the mark was made before the disk was slow.
    }
    panic!("handlers went on making the commits");
}

#[tokio::test]
async fn how_quick_a_disk_was_a_while_ago_does_not_count() {
    let mut quick = Quick::log().await;
    thread::sleep(QUICK_COMMIT_GAP_MAX);
    quick.append().await;
    assert_eq!(quick.last_committer().as_deref(), JOURNAL);
}

#[tokio::test]
async fn a_log_that_gets_quiet_is_marked_each_time_whoever_made_the_commits() {
    let mut quick = Quick::log().await;
    let mut marks = quick.switches.idle_marks();
    for _ in 0..3 {
        let before = *marks.borrow_and_update();
        quick.append().await;
        let marked = marks.wait_for(|marks| *marks > before);
        tokio::time::timeout(PATIENCE, marked).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_commit_of_a_handler_that_fails_or_panics_fails_the_log() {
    for trouble in [Disk::Fails, Disk::Panics] {
        let quick = Quick::log().await;
        quick.switches.set(trouble);
        thread::sleep(QUICK_COMMIT_GAP_MIN);
        let lost = quick.log.append(vec![message(quick.messages, "lost")]).await;
        assert_eq!(lost, Err(AppendError::Failed));
        assert!(matches!(&*quick.log.state().borrow(), State::Failed(_)));
        quick.switches.set(Disk::Works);
        let later = quick.log.append(vec![message(quick.messages, "later")]).await;
        assert_eq!(later, Err(AppendError::Failed));
        tokio::time::timeout(PATIENCE, quick.log.close()).await.unwrap();
    }
}

#[tokio::test]
async fn a_stop_marks_the_end_and_nothing_is_taken_after_it() {
    let mut quick = Quick::log().await;
    quick.append().await;
    let before = *quick.switches.idle_marks().borrow();
    tokio::time::timeout(PATIENCE, quick.log.close()).await.unwrap();
    assert!(*quick.switches.idle_marks().borrow() > before);
    let late = quick.log.append(vec![message(quick.messages, "late")]).await;
    assert_eq!(late, Err(AppendError::Draining));
}

#[tokio::test]
async fn callers_who_come_together_leave_their_commits_to_the_journal_thread() {
    const TOGETHER: u64 = 64;
    let quick = Quick::log().await;
    let before = quick.switches.committers().len();
    let ids = quick.messages..quick.messages + TOGETHER;
    let appends = ids.map(|id| quick.log.append(vec![message(id, "msg")]));
    for outcomes in join_all(appends).await {
        assert!(matches!(outcomes.unwrap()[..], [Outcome::Stored(_)]));
    }
    let committers = quick.switches.committers().split_off(before);
    let alone = committers.iter().filter(|name| name.as_deref() != JOURNAL).count();
    assert!(alone < TOGETHER as usize / 2, "{committers:?}");
}

#[tokio::test]
async fn a_full_disk_that_a_handler_meets_refuses_and_recovers() {
    let mut quick = Quick::log().await;
    quick.switches.set(Disk::Full);
    thread::sleep(QUICK_COMMIT_GAP_MIN);
    let refused = quick.log.append(vec![message(quick.messages, "msg")]).await.unwrap();
    assert!(matches!(refused[..], [Outcome::Rejected(Rejection::ReadOnly(_))]), "{refused:?}");
    quick.switches.set(Disk::Works);
    let mut states = quick.log.state();
    let again = states.wait_for(|state| *state == State::Ready);
    drop(tokio::time::timeout(PATIENCE, again).await.unwrap().unwrap());
    quick.append().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_several_threads_each_message_is_stored_once_whoever_commits_it() {
    const CLIENTS: u64 = 4;
    const MESSAGES: u64 = 300;
    let quick = Quick::log().await;
    let first = quick.messages;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let log = quick.log.clone();
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                for id in first..first + MESSAGES {
                    outcomes.extend(log.append(vec![message(id, "msg")]).await.unwrap());
                    thread::sleep(QUICK_COMMIT_GAP_MIN * u32::from(id % 3 == 0));
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
    assert_eq!(quick.log.last_sequence(), first + MESSAGES);
}
