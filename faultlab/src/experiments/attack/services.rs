//! The services under attack, reached without a proxy, and what they use.

use std::{ffi::OsString, fs, io, net::SocketAddr, path::Path, time::Duration};

use crate::{
    cluster::Programs,
    processes::{Process, ProcessError},
};

/// How often the usage of a process is sampled.
const SAMPLING_INTERVAL: Duration = Duration::from_millis(50);

/// The services under attack. Dropping them ends them.
#[derive(Debug)]
pub struct Services {
    /// The facade.
    pub facade: Process,
    /// The logging service.
    pub logging: Process,
    _messages: Process,
    /// Where the facade speaks HTTP.
    pub http: SocketAddr,
    /// Where the logging service speaks gRPC.
    pub grpc: SocketAddr,
}

impl Services {
    /// Starts them, with everything they keep in `dir`. With `open_files`, none of them may have more
    /// files open than that.
    ///
    /// # Errors
    /// One of them does not run.
    pub async fn start(
        programs: Programs,
        dir: &Path,
        open_files: Option<u32>,
    ) -> Result<Self, ProcessError> {
        let command = |program: Vec<OsString>, flags: &[OsString]| {
            let limit = open_files.map(|files| {
                let limited = format!(r#"ulimit -n {files}; exec "$@""#);
                ["sh", "-c", &limited, "sh"].map(OsString::from)
            });
            let listen = ["--listen", "127.0.0.1:0"].map(OsString::from);
            let limit = limit.into_iter().flatten();
            limit.chain(program).chain(listen).chain(flags.iter().cloned()).collect::<Vec<_>>()
        };
        let data = ["--data-dir".into(), dir.join("logging").into()];
        let logging = command(programs.logging, &data);
        let (logging, grpc) =
            Process::start("logging-service", logging, dir, programs.group).await?;
        let messages = command(programs.messages, &[]);
        let (messages, text) =
            Process::start("messages-service", messages, dir, programs.group).await?;
        let url = |address| OsString::from(format!("http://{address}"));
        let upstreams = ["--logging-url".into(), url(grpc), "--messages-url".into(), url(text)];
        let facade = command(programs.facade, &upstreams);
        let (facade, http) = Process::start("facade-service", facade, dir, programs.group).await?;
        Ok(Self { facade, logging, _messages: messages, http, grpc })
    }
}

/// Peak usage of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory.
    pub resident_bytes: u64,
    /// Open files and connections.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// The present usage of process `id`.
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

/// Samples process `id` for `time`, or until it ends, and returns the peak.
pub async fn watch(id: u32, time: Duration) -> Usage {
    let mut most = Usage::default();
    let looking = async {
        while let Ok(usage) = Usage::of(id) {
            most = most.max(usage);
            tokio::time::sleep(SAMPLING_INTERVAL).await;
        }
    };
    // The samples count in either case.
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
