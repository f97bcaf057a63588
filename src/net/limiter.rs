//! The places a server has for connections, and who gives theirs up when all are taken.
//!
//! A connection that waits for its client is worth less than a new client: of those, the ones that
//! wait longest are closed. A connection with work under way keeps its place.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

pub use super::close_signal::Notice;
use crate::limits;

/// Neither waits for its client.
const WORKING: u64 = u64::MAX;
const LEAVING: u64 = u64::MAX - 1;

/// Places for a fixed number of connections. Clones share them.
#[derive(Debug, Clone)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
    places: usize,
    began: Instant,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    occupants: HashMap<u64, Arc<Occupant>>,
    warned: Option<Instant>,
}

/// What is known of one connection.
#[derive(Debug)]
struct Occupant {
    /// Microseconds from the beginning to the moment since when it waits for its client.
    waits_since: AtomicU64,
    leave: Notice,
}

impl Places {
    /// `places` free places.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Shared {
            free: Arc::new(Semaphore::new(places)),
            taken: Mutex::default(),
            places,
            began: Instant::now(),
        }))
    }

    /// Waits for a place. If none is free, the connections that wait longest for their clients are
    /// asked to leave, a hundredth of all at a time. Dropping the future takes nothing.
    pub async fn take(&self) -> Place {
        loop {
            if let Ok(free) = Arc::clone(&self.0.free).try_acquire_owned() {
                return self.occupy(free);
            }
            self.make_room(self.0.places / 100 + 1);
            // Then it looks again: what is at work now may wait for its client soon.
            let free = Arc::clone(&self.0.free).acquire_owned();
            if let Ok(Ok(free)) = timeout(limits::ACCEPT_RETRY_PAUSE, free).await {
                return self.occupy(free);
            }
        }
    }

    /// Asks an eighth of the connections to leave, those that wait longest for their clients. For when
    /// the operating system has no descriptor left, whatever places there are.
    pub fn spare_descriptors(&self) {
        let open = self.0.taken().occupants.len();
        self.make_room(open / 8 + 1);
    }

    /// Asks all connections to leave, those at work as well.
    pub fn close(&self) {
        for occupant in self.0.taken().occupants.values() {
            occupant.leave.give();
        }
    }

    fn occupy(&self, free: OwnedSemaphorePermit) -> Place {
        let occupant = Arc::new(Occupant { waits_since: WORKING.into(), leave: Notice::default() });
        let mut taken = self.0.taken();
        let number = taken.next;
        taken.next += 1;
        taken.occupants.insert(number, Arc::clone(&occupant));
        Place { occupant, number, shared: Arc::clone(&self.0), _free: free }
    }

    fn make_room(&self, count: usize) {
        let mut taken = self.0.taken();
        let mut waiting: Vec<(u64, &Occupant)> = taken
            .occupants
            .values()
            .map(|occupant| (occupant.waits_since.load(Ordering::Relaxed), &**occupant))
            .filter(|(since, _)| *since < LEAVING)
            .collect();
        let count = count.min(waiting.len());
        if count == 0 {
            return;
        }
        waiting.select_nth_unstable_by_key(count - 1, |(since, _)| *since);
        for (since, occupant) in &waiting[..count] {
            let waits = &occupant.waits_since;
            // One that got work just now stays.
            if waits.compare_exchange(*since, LEAVING, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                occupant.leave.give();
            }
        }
        drop(waiting);
        let now = Instant::now();
        if taken.warned.is_none_or(|warned| now - warned >= limits::CROWD_WARNING_INTERVAL) {
            taken.warned = Some(now);
            tracing::warn!(
                "{} connections are open, and there is room for no more: those that wait longest \
                 for their clients are closed",
                taken.occupants.len()
            );
        }
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        micros(self.began.elapsed())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(LEAVING - 1)
}

/// A place of one connection, free again once it is dropped. It counts as at work at first.
#[derive(Debug)]
pub struct Place {
    occupant: Arc<Occupant>,
    number: u64,
    shared: Arc<Shared>,
    _free: OwnedSemaphorePermit,
}

impl Place {
    /// From now on it waits for its client.
    pub fn waits(&self) {
        self.occupant.waits_since.store(self.shared.now(), Ordering::Relaxed);
    }

    /// From now on its client waits for it.
    pub fn works(&self) {
        self.occupant.waits_since.store(WORKING, Ordering::Relaxed);
    }

    /// Its client sent `bytes` of what it waits for: it counts as having waited for less long, as long
    /// as these bytes may take.
    pub fn received(&self, bytes: usize) {
        let worth = (bytes as u64).saturating_mul(1_000_000) / limits::BODY_BYTES_PER_SECOND_MIN;
        let now = self.shared.now();
        let later = |since: u64| (since < LEAVING).then(|| since.saturating_add(worth).min(now));
        let waits = &self.occupant.waits_since;
        // It fails if it does not wait.
        let _ = waits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    }

    /// Whether its client waits for it.
    pub fn is_at_work(&self) -> bool {
        self.occupant.waits_since.load(Ordering::Relaxed) == WORKING
    }

    /// Since when it waits for its client, if it does.
    pub fn waits_since(&self) -> Option<Instant> {
        let since = self.occupant.waits_since.load(Ordering::Relaxed);
        (since < LEAVING).then(|| self.shared.began + Duration::from_micros(since))
    }

    /// Given when it is asked to leave.
    pub fn leave(&self) -> &Notice {
        &self.occupant.leave
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.taken().occupants.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn waiting(places: &Places) -> Place {
        let place = places.take().await;
        place.waits();
        advance(SECOND).await;
        place
    }

    fn asked(places: &[&Place]) -> Vec<bool> {
        places.iter().map(|place| place.leave().is_given()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_waits_longest_is_asked_to_leave_when_all_places_are_taken() {
        let places = Places::new(3);
        let oldest = waiting(&places).await;
        let older = waiting(&places).await;
        let newest = waiting(&places).await;
        oldest.waits();
        assert!(places.take().now_or_never().is_none(), "there was a place too many");
        assert_eq!(asked(&[&oldest, &older, &newest]), [false, true, false]);
        drop(older);
        assert!(places.take().now_or_never().is_some(), "the place was not free again");
    }

    #[tokio::test(start_paused = true)]
    async fn all_are_asked_to_leave_at_the_end() {
        let places = Places::new(3);
        let waits = waiting(&places).await;
        let works = waiting(&places).await;
        works.works();
        places.close();
        assert_eq!(asked(&[&waits, &works]), [true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_with_work_under_way_stays_until_it_waits() {
        let places = Places::new(1);
        let only = waiting(&places).await;
        only.works();
        let take = places.take();
        let mut take = std::pin::pin!(take);
        assert!(timeout(SECOND, take.as_mut()).await.is_err());
        assert_eq!(asked(&[&only]), [false]);
        only.waits();
        assert!(timeout(SECOND, take.as_mut()).await.is_err());
        assert_eq!(asked(&[&only]), [true]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrives_at_a_fair_rate_is_no_wait() {
        let places = Places::new(2);
        let trickling = waiting(&places).await;
        let fair = places.take().await;
        fair.waits();
        trickling.waits();
        for _ in 0..10 {
            advance(SECOND).await;
            trickling.received(1);
            fair.received(limits::BODY_BYTES_PER_SECOND_MIN as usize);
        }
        assert!(places.take().now_or_never().is_none());
        assert_eq!(asked(&[&trickling, &fair]), [true, false]);
    }
}
