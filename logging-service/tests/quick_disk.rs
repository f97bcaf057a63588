//! Who makes the commits, and that it makes no difference.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::{sync::mpsc, time::Duration};

use logging_service::log::{AppendError, Log, State};
use oncelog::limits::QUICK_COMMITS_MIN;
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

    async fn append(&mut self) {
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
