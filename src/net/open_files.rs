//! How many files and connections a process may have open, and how it shares them out.
//!
//! A service that runs out of file descriptors must turn away clients, not fail at its own work. So
//! it takes all the operating system grants, gives half of it to connections and keeps the rest.

use std::io;

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use super::CONNECTIONS_MAX;

/// Raises what this process may have open to what it may ask for without rights. Called once, before
/// anything is opened.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit { current: maximum, maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
    }
}

/// Tells the log how many files and connections there may be.
pub fn tell_open_files() {
    let (files, connections) = (open_files_max(), connections_max());
    tracing::info!("open_files_max={files} connections_max={connections}");
    if connections < CONNECTIONS_MAX {
        tracing::warn!(
            "only {connections} connections at a time, because this process may open only {files} \
             files: raise the hard limit (ulimit -Hn) to {} for {}",
            CONNECTIONS_MAX * CONNECTIONS_SHARE,
            CONNECTIONS_MAX,
        );
    }
}

/// Files, sockets among them, that this process may have open now.
#[must_use]
pub fn open_files_max() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Connections of clients that this process may have open now: at most
/// [`CONNECTIONS_MAX`], and no more than half of its files.
#[must_use]
pub fn connections_max() -> usize {
    connections_of(open_files_max())
}

/// Whether `error` says that the process or the system has no descriptor or memory left for one more
/// connection, so that closing others helps.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// One of this many files may be a client's connection.
const CONNECTIONS_SHARE: usize = 2;

fn connections_of(open_files_max: usize) -> usize {
    (open_files_max / CONNECTIONS_SHARE).min(CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_closes_connections_and_a_dead_network_does_not() {
        let is_shortage = |errno: Errno| is_shortage(&errno.into());
        assert!(
            [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].map(is_shortage) == [true; 4]
        );
        assert!([Errno::HOSTUNREACH, Errno::PERM, Errno::NETDOWN].map(is_shortage) == [false; 3]);
    }

    #[test]
    fn connections_never_take_all_files() {
        let files = [64, 1024, 1 << 20, usize::MAX];
        assert_eq!(files.map(connections_of), [32, 512, CONNECTIONS_MAX, CONNECTIONS_MAX]);
    }

    #[test]
    fn all_files_that_are_granted_are_used() {
        raise_open_files();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert!(connections_max() <= open_files_max() / 2);
    }
}
