//! What a process takes, as the operating system tells it.

use std::{fs, io, time::Duration};

/// How often a process is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// The most of each that was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory that is resident.
    pub resident_bytes: u64,
    /// Open files and connections.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// What process `id` takes now.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(id: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0)
        };
        let files = fs::read_dir(format!("/proc/{id}/fd"))?.count() as u64;
        Ok(Self { resident_bytes: field("VmRSS:") * 1024, files, threads: field("Threads:") })
    }

    fn max(self, other: Self) -> Self {
        Self {
            resident_bytes: self.resident_bytes.max(other.resident_bytes),
            files: self.files.max(other.files),
            threads: self.threads.max(other.threads),
        }
    }
}

/// Looks at process `id` for `time`, or until it is gone, and returns the most that was seen.
pub async fn watch(id: u32, time: Duration) -> Usage {
    let mut most = Usage::default();
    let looking = async {
        while let Ok(usage) = Usage::of(id) {
            most = most.max(usage);
            tokio::time::sleep(INTERVAL).await;
        }
    };
    // Either way, what was seen counts.
    let _ = tokio::time::timeout(time, looking).await;
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_memory_files_and_threads() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert!(usage.files >= 3 && usage.threads >= 1, "{usage:?}");
    }
}
