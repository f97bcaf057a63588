//! What services use of memory, files and threads, as the operating system counts it.

use std::{
    array, fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use crate::history::Peak;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Something that must have an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Memory that is really there for it, in bytes.
    Memory,
    /// Open files and sockets.
    Files,
    /// Threads.
    Threads,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Files, Self::Threads];

    /// Its name in a history, with its unit, and in a table.
    #[must_use]
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Memory => ("memory bytes", "most memory"),
            Self::Files => ("open files", "most open files"),
            Self::Threads => ("threads", "most threads"),
        }
    }

    /// An amount of it, for a person.
    #[must_use]
    pub fn show(self, amount: u64) -> String {
        match self {
            Self::Memory => format!("{} MiB", amount.div_ceil(1024 * 1024)),
            Self::Files | Self::Threads => amount.to_string(),
        }
    }
}

/// How much of each [`Resource`] a process uses, or may use, in the order of [`Resource::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage([u64; Resource::ALL.len()]);

impl Usage {
    /// What a process uses now. `None`: there is no such process, or it may not be looked at.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let figure = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        // The most memory it ever had is kept for us; what we sample could miss it.
        Some(Self([figure("VmHWM:")? * 1024, files, figure("Threads:")?]))
    }

    /// What a service may use for `clients` that post at the same time and `messages` that are kept in
    /// the end: a fixed amount, and a little for each of them.
    #[must_use]
    pub fn cap(clients: usize, messages: usize) -> Self {
        const FIXED_BYTES: u64 = 128 * 1024 * 1024;
        // Its request, its answer and their connection.
        const BYTES_A_CLIENT: u64 = 256 * 1024;
        // The index of the log has its id and place in memory.
        const BYTES_A_MESSAGE: u64 = 256;
        const FIXED_FILES: u64 = 64;
        // Its connection, the one it had before a cut, and what is closing.
        const FILES_A_CLIENT: u64 = 4;
        const FIXED_THREADS: u64 = 32;
        const THREADS_A_CORE: u64 = 4;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        let (clients, messages) = (clients as u64, messages as u64);
        Self([
            FIXED_BYTES + clients * BYTES_A_CLIENT + messages * BYTES_A_MESSAGE,
            FIXED_FILES + clients * FILES_A_CLIENT,
            FIXED_THREADS + cores * THREADS_A_CORE,
        ])
    }

    /// How much of `resource`.
    #[must_use]
    pub const fn get(&self, resource: Resource) -> u64 {
        self.0[resource as usize]
    }

    fn most(self, other: Self) -> Self {
        Self(array::from_fn(|at| self.0[at].max(other.0[at])))
    }
}

/// A name, and the process id it has now.
type Watched = (&'static str, Arc<AtomicU32>);

/// Looks at services again and again until it is dropped or asked what it saw.
#[derive(Debug)]
pub struct Watch {
    services: Vec<Watched>,
    most: Arc<Mutex<Vec<Usage>>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Looks at each of `services` from now on, whatever process it is.
    #[must_use]
    pub fn start(services: Vec<Watched>) -> Self {
        let most = Arc::new(Mutex::new(vec![Usage::default(); services.len()]));
        let (watched, noted) = (services.clone(), Arc::clone(&most));
        let task = tokio::spawn(async move {
            loop {
                for (at, (_, pid)) in watched.iter().enumerate() {
                    // A killed one uses nothing.
                    let now = Usage::of(pid.load(Ordering::Relaxed)).unwrap_or_default();
                    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    noted[at] = noted[at].most(now);
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self { services, most, task }
    }

    /// The most of each resource that any one service was seen to use.
    #[must_use]
    pub fn most(&self) -> Usage {
        let most = self.most.lock().unwrap_or_else(PoisonError::into_inner);
        most.iter().copied().fold(Usage::default(), Usage::most)
    }

    /// The most of everything that each service was seen to use, beside what it may.
    #[must_use]
    pub fn peaks(&self, cap: &Usage) -> Vec<Peak> {
        let most = self.most.lock().unwrap_or_else(PoisonError::into_inner);
        let mut peaks = Vec::new();
        for ((service, _), usage) in self.services.iter().zip(most.iter()) {
            peaks.extend(Resource::ALL.map(|resource| Peak {
                service: (*service).to_owned(),
                what: resource.names().0.to_owned(),
                found: usage.get(resource),
                cap: cap.get(resource),
            }));
        }
        peaks
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_running_process_is_measured_and_a_gone_one_uses_nothing() {
        let me = std::process::id();
        let services = vec![
            ("this", Arc::new(AtomicU32::new(me))),
            ("none", Arc::new(AtomicU32::new(u32::MAX))),
        ];
        let watch = Watch::start(services);
        let cap = Usage([u64::MAX, 0, u64::MAX]);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while watch.peaks(&cap)[0].found == 0 {
            assert!(std::time::Instant::now() < deadline, "nothing was seen");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let peaks = watch.peaks(&cap);
        assert_eq!(peaks.len(), 6);
        assert!(peaks[0].found > 1024 * 1024 && peaks[1].found > 2 && peaks[2].found > 0);
        assert!(peaks[1].found > peaks[1].cap, "its cap stands beside it");
        assert_eq!(watch.most().get(Resource::Threads), peaks[2].found);
        assert!(peaks[3..].iter().all(|peak| peak.found == 0), "{peaks:?}");
    }
}
