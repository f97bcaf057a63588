//! The connection limiter: how many connections a server has, and which are evicted for a new client.
//!
//! An idle connection is worth less than a new client: of those, the ones that are idle for longest are
//! closed. If none is idle, the oldest long-lived ones are. A busy connection keeps its slot. The states
//! are drawn in `entry.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{
    CloseSignal, LongLived, LongLivedShare, LongLivedShareFull,
    entry::{Entry, State},
    limits::ACCEPT_RETRY_PAUSE,
};

/// How often, at most, a server says that it has no slot for connections.
const CROWD_WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// The rate at which a body counts as arriving. The connection of a slower one is evicted first.
const BODY_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// Slots for a fixed number of connections. Clones share them.
#[derive(Debug, Clone)]
pub struct ConnectionLimiter(Arc<Limiter>);

#[derive(Debug)]
struct Limiter {
    free: Arc<Semaphore>,
    entries: Mutex<Entries>,
    connections_max: usize,
    long_lived: Arc<Semaphore>,
    long_lived_max: usize,
    began: Instant,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    by_number: HashMap<u64, Arc<Entry>>,
    warned: Option<Instant>,
}

impl ConnectionLimiter {
    /// `connections_max` free slots, of which `long_lived` may be long-lived at a time.
    pub fn new(connections_max: usize, long_lived: LongLivedShare) -> Self {
        let long_lived_max = long_lived.of(connections_max);
        Self(Arc::new(Limiter {
            free: Arc::new(Semaphore::new(connections_max)),
            entries: Mutex::default(),
            connections_max,
            long_lived: Arc::new(Semaphore::new(long_lived_max)),
            long_lived_max,
            began: Instant::now(),
        }))
    }

    /// Waits for a slot. If none is free, a hundredth of all connections is evicted at a time. Dropping the
    /// future takes no slot.
    pub async fn acquire(&self) -> ConnectionSlot {
        loop {
            if let Ok(free) = Arc::clone(&self.0.free).try_acquire_owned() {
                return self.occupy(free);
            }
            self.0.evict(self.0.connections_max / 100 + 1);
            // Then it looks again: what is busy now may be idle soon.
            let free = Arc::clone(&self.0.free).acquire_owned();
            if let Ok(Ok(free)) = timeout(ACCEPT_RETRY_PAUSE, free).await {
                return self.occupy(free);
            }
        }
    }

    /// Admits a long-lived response. A handler asks before it answers.
    ///
    /// # Errors
    /// [`LongLivedShareFull`], which a route answers with 503.
    pub fn try_long_lived(&self) -> Result<LongLived, LongLivedShareFull> {
        let permit = Arc::clone(&self.0.long_lived).try_acquire_owned();
        permit.map(LongLived::new).map_err(|_| LongLivedShareFull { max: self.0.long_lived_max })
    }

    /// Evicts an eighth of the connections. For when the operating system has no descriptor left,
    /// whatever slots there are.
    pub fn free_descriptors(&self) {
        let open = self.0.entries().by_number.len();
        self.0.evict(open / 8 + 1);
    }

    /// Sends the close signal to all connections, the busy ones as well.
    pub fn close(&self) {
        for entry in self.0.entries().by_number.values() {
            entry.close.send();
        }
    }

    fn occupy(&self, free: OwnedSemaphorePermit) -> ConnectionSlot {
        let entry = Arc::new(Entry::new());
        let mut entries = self.0.entries();
        let number = entries.next;
        entries.next += 1;
        entries.by_number.insert(number, Arc::clone(&entry));
        ConnectionSlot { entry, number, limiter: Arc::clone(&self.0), _free: free }
    }
}

impl Entries {
    /// The connections to evict, at most `count`: those idle for longest. If none is idle, the oldest
    /// long-lived ones, less those that are closing already, which may take them a moment.
    fn choose(&self, mut count: usize) -> Vec<(State, &Entry)> {
        let all = || self.by_number.values().map(|entry| (entry.state(), &**entry));
        let is_idle = |state| matches!(state, State::Idle { .. });
        let is_long_lived = |state| matches!(state, State::LongLived { .. });
        let mut chosen: Vec<_> = all().filter(|(state, _)| is_idle(*state)).collect();
        if chosen.is_empty() {
            count -= count.min(all().filter(|(state, _)| *state == State::Closing).count());
            chosen = all().filter(|(state, _)| is_long_lived(*state)).collect();
        }
        if count < chosen.len() {
            chosen.select_nth_unstable_by_key(count, |(state, _)| *state);
            chosen.truncate(count);
        }
        chosen
    }
}

impl Limiter {
    /// Evicts `count` connections, or as many as may be.
    fn evict(&self, count: usize) {
        let mut entries = self.entries();
        let chosen = entries.choose(count);
        if chosen.is_empty() {
            return;
        }
        for (state, entry) in chosen {
            entry.evict(state);
        }
        let now = Instant::now();
        if entries.warned.is_none_or(|warned| now - warned >= CROWD_WARNING_INTERVAL) {
            entries.warned = Some(now);
            tracing::warn!(
                "{} connections are open, and there is room for no more: those that are idle for \
                 longest are closed, and if none is idle, long-lived ones",
                entries.by_number.len()
            );
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
/// The slot of one connection, free again once it is dropped. The connection is busy at first.
#[derive(Debug)]
pub struct ConnectionSlot {
    entry: Arc<Entry>,
    number: u64,
    limiter: Arc<Limiter>,
    _free: OwnedSemaphorePermit,
}

impl ConnectionSlot {
    /// From now on the connection waits for its client.
    pub fn set_idle(&self) {
        self.entry.set(State::Idle { since: self.limiter.now() });
    }

    /// From now on the client waits for the connection.
    pub fn set_busy(&self) {
        self.entry.set(State::Busy);
    }

    /// From now on a long-lived response is under way.
    pub fn set_long_lived(&self) {
        self.entry.set(State::LongLived { since: self.limiter.now() });
    }

    /// The client sent `bytes` of what an idle connection waits for: it counts as idle for less long, as
    /// long as these bytes may take.
    pub fn received(&self, bytes: usize) {
        let worth = (bytes as u64).saturating_mul(1_000_000) / BODY_BYTES_PER_SECOND_MIN;
        let now = self.limiter.now();
        self.entry.postpone(|since| since.saturating_add(worth).min(now));
    }

    /// Whether its client waits for it.
    pub fn is_busy(&self) -> bool {
        self.entry.state() == State::Busy
    }

    /// Whether a long-lived response is under way.
    pub fn is_long_lived(&self) -> bool {
        matches!(self.entry.state(), State::LongLived { .. })
    }

    /// Since when the connection is idle, if it is.
    pub fn idle_since(&self) -> Option<Instant> {
        match self.entry.state() {
            State::Idle { since } => Some(self.limiter.began + Duration::from_micros(since)),
            State::LongLived { .. } | State::Busy | State::Closing => None,
        }
    }

    /// Sent when the connection is to close: for a shutdown, or because it is evicted.
    pub fn close_signal(&self) -> &CloseSignal {
        &self.entry.close
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.limiter.entries().by_number.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter(connections: usize) -> ConnectionLimiter {
        ConnectionLimiter::new(connections, LongLivedShare::default())
    }

    /// A connection that has been in a state for a second.
    async fn slot(limiter: &ConnectionLimiter, set: fn(&ConnectionSlot)) -> ConnectionSlot {
        let slot = limiter.acquire().await;
        set(&slot);
        advance(SECOND).await;
        slot
    }

    fn told(slots: &[&ConnectionSlot]) -> Vec<bool> {
        slots.iter().map(|slot| slot.close_signal().is_sent()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_is_evicted_when_slots_run_out() {
        let limiter = limiter(3);
        let oldest = slot(&limiter, ConnectionSlot::set_idle).await;
        let older = slot(&limiter, ConnectionSlot::set_idle).await;
        let newest = slot(&limiter, ConnectionSlot::set_idle).await;
        oldest.set_idle();
        assert!(limiter.acquire().now_or_never().is_none(), "there was a slot too many");
        assert_eq!(told(&[&oldest, &older, &newest]), [false, true, false]);
        drop(older);
        assert!(limiter.acquire().now_or_never().is_some(), "the slot was not free again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_tells_all_connections() {
        let limiter = limiter(3);
        let idle = slot(&limiter, ConnectionSlot::set_idle).await;
        let busy = limiter.acquire().await;
        let long_lived = slot(&limiter, ConnectionSlot::set_long_lived).await;
        limiter.close();
        assert_eq!(told(&[&idle, &busy, &long_lived]), [true; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_connection_is_not_evicted_until_it_is_idle() {
        let limiter = limiter(1);
        let only = slot(&limiter, ConnectionSlot::set_idle).await;
        only.set_busy();
        let acquire = limiter.acquire();
        let mut acquire = std::pin::pin!(acquire);
        assert!(timeout(SECOND, acquire.as_mut()).await.is_err());
        assert_eq!(told(&[&only]), [false]);
        only.set_idle();
        assert!(timeout(SECOND, acquire.as_mut()).await.is_err());
        assert_eq!(told(&[&only]), [true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_arrives_at_a_fair_rate_is_not_idle() {
        let limiter = limiter(2);
        let trickling = slot(&limiter, ConnectionSlot::set_idle).await;
        let fair = limiter.acquire().await;
        fair.set_idle();
        trickling.set_idle();
        for _ in 0..10 {
            advance(SECOND).await;
            trickling.received(1);
            fair.received(BODY_BYTES_PER_SECOND_MIN as usize);
        }
        assert!(limiter.acquire().now_or_never().is_none());
        assert_eq!(told(&[&trickling, &fair]), [true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn long_lived_connections_are_evicted_after_idle_ones() {
        let limiter = limiter(4);
        let oldest = slot(&limiter, ConnectionSlot::set_long_lived).await;
        let younger = slot(&limiter, ConnectionSlot::set_long_lived).await;
        let idle = slot(&limiter, ConnectionSlot::set_idle).await;
        let busy = limiter.acquire().await;
        assert!(limiter.acquire().now_or_never().is_none());
        assert_eq!(told(&[&oldest, &younger, &idle, &busy]), [false, false, true, false]);
        drop(idle);
        let _new = limiter.acquire().now_or_never().unwrap();
        assert!(limiter.acquire().now_or_never().is_none());
        assert_eq!(told(&[&oldest, &younger, &busy]), [true, false, false]);
        // It takes its time to say goodbye: no other one is evicted in its stead.
        assert!(timeout(SECOND, limiter.acquire()).await.is_err());
        assert_eq!(told(&[&younger]), [false]);
    }

    #[tokio::test]
    async fn a_long_lived_response_counts_until_its_last_clone_is_dropped() {
        let limiter = limiter(4);
        let admitted: Vec<_> = (0..3).map(|_| limiter.try_long_lived().unwrap()).collect();
        let clone = admitted[0].clone();
        drop(admitted);
        let _two = [(); 2].map(|()| limiter.try_long_lived().unwrap());
        assert_eq!(limiter.try_long_lived().unwrap_err(), LongLivedShareFull { max: 3 });
        drop(clone);
        limiter.try_long_lived().unwrap();
    }
}
