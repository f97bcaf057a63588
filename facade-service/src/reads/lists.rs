//! Places for long lists: answers that are sent while the log is read.
//!
//! A list keeps a read of the log open for as long as its client takes. So there is a fixed number of them,
//! and when none is free the slowest reader makes way for the next one. A reader that is fast enough stays.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use oncelog::net::CloseSignal;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::pace::Pace;

/// A client that takes this much is never evicted: it will soon have all of its list.
const FAST_BYTES_PER_SECOND: u64 = 64 * 1024;

/// A client that takes this much is not evicted while there are new ones, which may be slower: many that come at
/// once would evict all that were there.
const STEADY_BYTES_PER_SECOND: u64 = 1024;

/// A client that took nothing for the first time is watched for this long before it may be evicted.
const WATCHED_MIN: Duration = Duration::from_secs(1);

/// How long a new list waits for a place: an evicted one ends within some milliseconds.
const PLACE_WAIT_MAX: Duration = Duration::from_millis(500);

/// Lists that wait for a place. Their reads are open, and must not take the turns of reads that need none.
const WAITING_MAX: usize = 4;

/// Shortest time between two evictions. A new list costs some megabytes at its start, so slow readers that
/// come again and again must not have a new one for each request.
const EVICTION_INTERVAL: Duration = Duration::from_millis(100);

/// How often, at most, a log line says that lists were evicted.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// As many lists are sent as there may be, and none of their readers is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListsFull {
    pub(crate) max: usize,
}

/// The places. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Lists(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    free: Arc<Semaphore>,
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Arc<ListProgress>>,
    waiting: usize,
    evicted: Option<Instant>,
    warned: Option<Instant>,
}

/// How the client of one list takes it.
#[derive(Debug)]
pub(crate) struct ListProgress {
    began: Instant,
    pace: Mutex<Pace>,
    evicted: CloseSignal,
}

impl ListProgress {
    fn new() -> Self {
        let (pace, evicted) = (Mutex::default(), CloseSignal::default());
        Self { began: Instant::now(), pace, evicted }
    }

    /// Whether it is too early to say how fast its client is.
    fn is_new(&self, now: Instant) -> bool {
        now - lock(&self.pace).since().unwrap_or(self.began) < WATCHED_MIN
    }

    /// The client took `bytes`.
    pub(crate) fn sent(&self, bytes: usize) {
        lock(&self.pace).sent(bytes, Instant::now());
    }

    /// The client takes nothing. Ready once the list is evicted: its connection breaks off.
    pub(crate) fn poll_blocked(&self, cx: &mut Context<'_>) -> Poll<()> {
        lock(&self.pace).blocked(Instant::now());
        self.evicted.poll_sent(cx)
    }

    /// Returns once the list is evicted. It is awaited by the task of its connection alone.
    pub(crate) async fn evicted(&self) {
        self.evicted.sent().await;
    }
}

/// The place of one list, free again once it is dropped.
#[derive(Debug)]
pub(crate) struct ListPlace {
    pub(crate) progress: Arc<ListProgress>,
    lists: Lists,
    _free: OwnedSemaphorePermit,
}

impl Drop for ListPlace {
    fn drop(&mut self) {
        self.lists.state().open.retain(|open| !Arc::ptr_eq(open, &self.progress));
    }
}

/// Counts a list that waits for a place.
struct Waiting<'a>(&'a Lists);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl Lists {
    /// `max` free places.
    pub(crate) fn new(max: usize) -> Self {
        let free = Arc::new(Semaphore::new(max));
        Self(Arc::new(Inner { free, max, state: Mutex::default() }))
    }

    /// A place, perhaps that of the slowest reader. Dropping the future takes none.
    ///
    /// # Errors
    /// [`ListsFull`] if no place gets free soon.
    pub(crate) async fn enter(&self) -> Result<ListPlace, ListsFull> {
        if let Ok(free) = Arc::clone(&self.0.free).try_acquire_owned() {
            return Ok(self.occupy(free));
        }
        let _waiting = self.wait()?;
        // One acquisition, so that those that wait are served in their order.
        let mut free = std::pin::pin!(Arc::clone(&self.0.free).acquire_owned());
        let deadline = Instant::now() + PLACE_WAIT_MAX;
        while Instant::now() < deadline {
            self.evict();
            if let Ok(Ok(free)) = timeout(EVICTION_INTERVAL, free.as_mut()).await {
                return Ok(self.occupy(free));
            }
        }
        Err(ListsFull { max: self.0.max })
    }

    fn wait(&self) -> Result<Waiting<'_>, ListsFull> {
        let mut state = self.state();
        if state.waiting >= WAITING_MAX {
            return Err(ListsFull { max: self.0.max });
        }
        state.waiting += 1;
        Ok(Waiting(self))
    }

    fn occupy(&self, free: OwnedSemaphorePermit) -> ListPlace {
        let progress = Arc::new(ListProgress::new());
        self.state().open.push(Arc::clone(&progress));
        ListPlace { progress, lists: self.clone(), _free: free }
    }

    /// Evicts the slowest reader, unless one was just evicted, or those that were leave enough places.
    fn evict(&self) {
        let now = Instant::now();
        let mut state = self.state();
        let ending = state.open.iter().filter(|list| list.evicted.is_sent()).count();
        let lately = state.evicted.is_some_and(|evicted| now - evicted < EVICTION_INTERVAL);
        if lately || ending >= state.waiting {
            return;
        }
        let Some((pace, slowest)) = state.slowest(now) else { return };
        slowest.evicted.send();
        state.evicted = Some(now);
        if state.warned.is_none_or(|warned| now - warned >= WARNING_INTERVAL) {
            state.warned = Some(now);
            tracing::warn!(
                "{} long lists are being read, and there is room for no more: the slowest readers \
                 make way for new ones, the last one with {pace} bytes a second",
                state.open.len()
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl State {
    /// Of the readers that are slow, the slowest; of several, the one that is there for longest. None if one
    /// that is new may be slower.
    fn slowest(&self, now: Instant) -> Option<(u64, Arc<ListProgress>)> {
        let open = || self.open.iter().filter(|list| !list.evicted.is_sent());
        let paces = open().filter_map(|list| {
            let pace = lock(&list.pace).bytes_per_second(now, WATCHED_MIN)?;
            (pace < FAST_BYTES_PER_SECOND).then(|| (pace, Arc::clone(list)))
        });
        let slowest = paces.min_by_key(|(pace, _)| *pace)?;
        let is_steady = slowest.0 >= STEADY_BYTES_PER_SECOND;
        (!is_steady || !open().any(|list| list.is_new(now))).then_some(slowest)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures_util::FutureExt as _;
    use tokio::time::{advance, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn block(list: &ListPlace) -> Poll<()> {
        list.progress.poll_blocked(&mut Context::from_waker(Waker::noop()))
    }

    async fn full(max: usize) -> (Lists, Vec<ListPlace>) {
        let lists = Lists::new(max);
        let mut places = Vec::new();
        for _ in 0..max {
            places.push(lists.enter().await.unwrap());
        }
        (lists, places)
    }

    /// A new list, for which the one at `leaving` ends.
    async fn enter_in_place_of(
        lists: &Lists,
        places: &mut Vec<ListPlace>,
        leaving: usize,
    ) -> ListPlace {
        let evicted = async {
            let evicted = timeout(SECOND, places[leaving].progress.evicted()).await;
            evicted.expect("another list was evicted, or none");
            drop(places.remove(leaving));
        };
        let (entered, ()) = tokio::join!(lists.enter(), evicted);
        entered.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_reader_makes_way_for_a_new_list() {
        let (lists, mut places) = full(3).await;
        for _ in 0..10 {
            for (place, bytes) in places.iter().zip([2_000, 10, 500_000]) {
                assert!(block(place).is_pending());
                place.progress.sent(bytes);
            }
            advance(SECOND).await;
        }
        for slowest in [1, 0] {
            // The list that was let in is no longer new.
            advance(SECOND).await;
            let entered = enter_in_place_of(&lists, &mut places, slowest).await;
            places.push(entered);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_reader_does_not_make_way_before_new_ones_are_known() {
        let (lists, mut places) = full(3).await;
        places.truncate(1);
        assert!(block(&places[0]).is_pending());
        for _ in 0..20 {
            advance(SECOND).await;
            places[0].progress.sent(20_000);
        }
        for _ in 0..2 {
            places.push(lists.enter().await.unwrap());
        }
        // One is not blocked yet.
        assert!(block(&places[1]).is_pending());
        lists.enter().await.unwrap_err();
        assert!(block(&places[0]).is_pending(), "the steady reader was evicted");
        advance(SECOND).await;
        let _entered = enter_in_place_of(&lists, &mut places, 1).await;
        assert!(block(&places[0]).is_pending(), "the steady reader was evicted");
    }

    #[tokio::test(start_paused = true)]
    async fn fast_and_new_readers_keep_their_places() {
        let (lists, places) = full(2).await;
        let refused = lists.enter().await.unwrap_err();
        assert_eq!(refused, ListsFull { max: 2 }, "neither was ever blocked");
        assert!(places.iter().all(|place| block(place).is_pending()));
        assert!(lists.enter().now_or_never().is_none());
        assert!(places.iter().all(|place| block(place).is_pending()), "one was not watched");
        for _ in 0..20 {
            sleep(SECOND).await;
            places.iter().for_each(|place| place.progress.sent(100_000));
        }
        lists.enter().await.unwrap_err();
        assert!(places.iter().all(|place| block(place).is_pending()), "a fast one was evicted");
    }
}
