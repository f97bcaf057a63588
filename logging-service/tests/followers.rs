//! Many readers follow one log: each sees all of it in order, and appends go first.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{FutureExt as _, StreamExt as _, future::join_all};
use logging_service::{
    Execution,
    limits::Limits,
    log::{Log, ReadRange, ReadStream},
};
use oncelog::message::{Message, StreamName};
use support::{message, next, scripted_log, scripted_store::Script, sequences_to};
use tokio::time::{Duration, Instant, sleep, timeout};

/// What a chunk and a message count for beside the bodies, as the read throttle has it.
const CHUNK_COST_BYTES: u64 = 32 * 1024;
const MESSAGE_COST_BYTES: u64 = 80;

/// Without appends for this long, followers get all they can take.
const HELD_MAX: Duration = Duration::from_millis(20);

/// Longer than any of these tests takes where no follower waits for ever.
const TIMEOUT: Duration = Duration::from_secs(60);

fn start(execution: Execution) -> (Log, Script) {
    scripted_log(execution, Limits::default())
}

async fn store(log: &Log, numbers: impl Iterator<Item = u64>) {
    log.append(numbers.map(|number| message(number, "msg")).collect()).await.unwrap();
}

fn follow(log: &Log, after: u64) -> ReadStream {
    log.read(ReadRange { after, follow: true, ..ReadRange::default() }).unwrap()
}

#[tokio::test]
async fn followers_at_one_position_share_what_was_read_once() {
    for execution in [Execution::Threads, Execution::Tasks] {
        let (log, script) = start(execution);
        store(&log, 1..=10).await;
        let mut followers: Vec<_> = (0..50).map(|_| follow(&log, 0)).collect();
        let first = join_all(followers.iter_mut().map(|follower| follower.next())).await;
        let first: Vec<_> = first.into_iter().map(|chunk| chunk.unwrap().unwrap()).collect();
        assert!(first.iter().all(|chunk| Arc::ptr_eq(chunk, &first[0])), "{execution:?}");
        assert_eq!(script.scans(), 1, "{execution:?}");
        for last in [20, 1500, 4000] {
            let after = log.last_sequence();
            store(&log, after + 1..=last).await;
            let seen = followers.iter_mut().map(|follower| sequences_to(follower, last));
            for seen in join_all(seen).await {
                assert!(seen.into_iter().eq(after + 1..=last), "{execution:?}");
            }
        }
        let scans = script.scans();
        assert!(scans <= 20, "{execution:?}: {scans} scans");
    }
}

#[tokio::test]
async fn a_follower_that_begins_within_a_chunk_gets_the_rest_of_it() {
    let (log, script) = start(Execution::Threads);
    store(&log, 1..=10).await;
    let mut first = follow(&log, 0);
    assert!(sequences_to(&mut first, 10).await.into_iter().eq(1..=10));
    let mut second = follow(&log, 4);
    assert!(sequences_to(&mut second, 10).await.into_iter().eq(5..=10));
    let two = ReadRange { after: 6, limit: Some(2), follow: true, ..ReadRange::default() };
    assert_eq!(support::all(log.read(two).unwrap()).await.len(), 2);
    assert_eq!(script.scans(), 1);
}

#[tokio::test]
async fn followers_of_different_streams_see_each_their_own_records() {
    let (log, _) = start(Execution::Threads);
    let stream = |number| if number % 3 == 0 { "orders" } else { "facade" };
    for first in [1, 101, 201] {
        let of =
            |number| Message { stream: stream(number).parse().unwrap(), ..message(number, "") };
        log.append((first..first + 100).map(of).collect()).await.unwrap();
    }
    let only = |name: &str| {
        let stream: Option<StreamName> = Some(name.parse().unwrap());
        log.read(ReadRange { stream, follow: true, ..ReadRange::default() }).unwrap()
    };
    let (mut every, mut facade, mut orders) = (follow(&log, 0), only("facade"), only("orders"));
    let (every, facade, orders) = tokio::join!(
        sequences_to(&mut every, 300),
        sequences_to(&mut facade, 299),
        sequences_to(&mut orders, 300),
    );
    assert!(every.into_iter().eq(1..=300));
    assert!(facade.into_iter().eq((1..=300).filter(|number| number % 3 != 0)));
    assert!(orders.into_iter().eq((1..=300).filter(|number| number % 3 == 0)));
}

#[tokio::test(start_paused = true)]
async fn on_a_quiet_log_followers_see_a_record_at_once() {
    let (log, _) = start(Execution::Tasks);
    let mut followers: Vec<_> = (0..Limits::default().followers).map(|_| follow(&log, 0)).collect();
    for number in 1..=5 {
        sleep(Duration::from_millis(100)).await;
        let stored = Instant::now();
        store(&log, number..=number).await;
        assert_eq!(next(&mut followers[0]).await[0].receipt.sequence, number);
        // A timer comes a millisecond late.
        let first = stored.elapsed();
        assert!(first <= Duration::from_millis(2), "the first after {first:?}");
        join_all(followers.iter_mut().skip(1).map(next)).await;
        let last = stored.elapsed();
        assert!(last <= Duration::from_millis(100), "the last after {last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn followers_wait_for_appends_and_catch_up_without_a_gap() {
    const FOLLOWERS: u64 = 100;
    const ROUNDS: u64 = 500;
    let (log, _) = start(Execution::Tasks);
    let all = ROUNDS * 100;
    let began = Instant::now();
    let (delivered, chunks) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let following: Vec<_> = (0..FOLLOWERS)
        .map(|_| {
            let mut follower = follow(&log, 0);
            let (delivered, chunks) = (Arc::clone(&delivered), Arc::clone(&chunks));
            tokio::spawn(async move {
                let mut last = 0;
                while last < all {
                    for record in next(&mut follower).await {
                        assert_eq!(record.receipt.sequence, last + 1);
                        last += 1;
                        delivered.fetch_add(1, Ordering::Relaxed);
                    }
                    chunks.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..ROUNDS {
        store(&log, round * 100 + 1..=round * 100 + 100).await;
        sleep(Duration::from_millis(1)).await;
    }
    let busy = began.elapsed();
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed) as u64;
    let body_bytes = 3;
    let cost =
        count(&chunks) * CHUNK_COST_BYTES + count(&delivered) * (MESSAGE_COST_BYTES + body_bytes);
    let share =
        cost as f64 / (busy.as_secs_f64() * Limits::default().follow_bytes_per_second as f64);
    assert!((0.5..1.2).contains(&share), "followers got {share:.2} of what they may get");
    let stopped = Instant::now();
    for follower in following {
        follower.await.unwrap();
    }
    let late = stopped.elapsed();
    assert!(late < HELD_MAX * 3, "they had everything {late:?} after the last append");
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_takes_nothing_holds_up_no_other() {
    let (log, _) = start(Execution::Tasks);
    // Enough that turns are not free any more.
    for number in 1..=20 {
        store(&log, number * 1000 + 1..=number * 1000 + 1000).await;
    }
    let mut stuck: Vec<_> = (0..200).map(|_| follow(&log, 0)).collect();
    // Each begins to wait for its turn, for a chunk, or for its reader, and is left there.
    for follower in &mut stuck {
        assert!(follower.next().now_or_never().is_none());
    }
    let mut reads = follow(&log, 0);
    let seen = timeout(TIMEOUT, sequences_to(&mut reads, 20_000)).await;
    assert!(seen.unwrap().into_iter().eq(1..=20_000));
}

#[tokio::test]
async fn the_last_follower_to_leave_leaves_nothing_in_memory() {
    let (log, _) = start(Execution::Threads);
    store(&log, 1..=10).await;
    let (mut one, another) = (follow(&log, 0), follow(&log, 0));
    let chunk = one.next().await.unwrap().unwrap();
    let kept = Arc::downgrade(&chunk);
    drop((chunk, one));
    assert!(kept.upgrade().is_some(), "the other one may want it");
    drop(another);
    assert!(kept.upgrade().is_none());
}
