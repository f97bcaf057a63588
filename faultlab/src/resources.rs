//! What services use of memory, files and threads, as the operating system counts it.

use std::{
    fs,
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
    /// Memory that is really there for it.
    Memory,
    /// Open files and sockets.
    Files,
    /// Threads.
    Threads,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Files, Self::Threads];

    /// Its name in a history, with its unit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory bytes",
            Self::Files => "open files",
            Self::Threads => "threads",
        }
    }

    /// Its name in a table.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Memory => "most memory",
            Self::Files => "most open files",
            Self::Threads => "most threads",
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

/// How much one service may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of memory.
    pub memory: u64,
    /// Open files and sockets.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

impl Caps {
    /// What a service may use for `clients` that post at the same time and `messages` that are kept in
    /// the end: a fixed amount, and a little for each of them.
    #[must_use]
    pub fn of_a_service(clients: usize, messages: usize) -> Self {
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
        Self {
            memory: FIXED_BYTES + clients * BYTES_A_CLIENT + messages * BYTES_A_MESSAGE,
            files: FIXED_FILES + clients * FILES_A_CLIENT,
            threads: FIXED_THREADS + cores * THREADS_A_CORE,
        }
    }

    const fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Memory => self.memory,
            Resource::Files => self.files,
            Resource::Threads => self.threads,
        }
    }
}

/// What a process uses now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    memory: u64,
    files: u64,
    threads: u64,
}

impl Usage {
    /// That of a process. `None`: there is no such process, or it may not be looked at.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let figure = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Some(Self {
            // The most it ever had is kept for us; what we sample could miss it.
            memory: figure("VmHWM:")? * 1024,
            files: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64,
            threads: figure("Threads:")?,
        })
    }

    /// How much of `resource`.
    #[must_use]
    pub const fn of_resource(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Memory => self.memory,
            Resource::Files => self.files,
            Resource::Threads => self.threads,
        }
    }

    fn most(self, other: Self) -> Self {
        Self {
            memory: self.memory.max(other.memory),
            files: self.files.max(other.files),
            threads: self.threads.max(other.threads),
        }
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

    /// The most of everything that each service was seen to use, beside what it may.
    #[must_use]
    pub fn peaks(&self, caps: &Caps) -> Vec<Peak> {
        let most = self.most.lock().unwrap_or_else(PoisonError::into_inner);
        let mut peaks = Vec::new();
        for ((service, _), usage) in self.services.iter().zip(most.iter()) {
            peaks.extend(Resource::ALL.map(|resource| Peak {
                service: (*service).to_owned(),
                what: resource.name().to_owned(),
                found: usage.of_resource(resource),
                cap: caps.of(resource),
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
        let caps = Caps { memory: u64::MAX, files: 0, threads: u64::MAX };
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while watch.peaks(&caps)[0].found == 0 {
            assert!(std::time::Instant::now() < deadline, "nothing was seen");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let peaks = watch.peaks(&caps);
        assert_eq!(peaks.len(), 6);
        assert!(peaks[0].found > 1024 * 1024 && peaks[1].found > 2 && peaks[2].found > 0);
        assert!(peaks[1].found > peaks[1].cap, "its cap stands beside it");
        assert!(peaks[3..].iter().all(|peak| peak.found == 0), "{peaks:?}");
    }
}
