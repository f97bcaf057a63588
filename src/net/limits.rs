//! The limits of connections that HTTP and gRPC have in common.

use std::time::Duration;

use super::{LongLivedShare, connections_max};

/// Open client connections of one server, unless its process may open less than twice as many files.
pub const CONNECTIONS_MAX: usize = 10_000;

/// From the stop signal to the moment open connections are closed by force.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after a failure to accept a connection, such as too many open files: long enough not to
/// spin, short enough not to be noticed once it is over.
pub(super) const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The limits of the connections of one server.
#[derive(Debug, Clone)]
pub struct NetLimits {
    /// Open connections. For further ones, those that are idle for longest are closed.
    pub connections: usize,
    /// The part of them that may be long-lived.
    pub long_lived: LongLivedShare,
    /// From an accepted connection to a complete request head, or in HTTP/2 to its preface. It ends
    /// slow-header attacks, and in HTTP/1.1 idle connections alike.
    pub header_read: Duration,
    /// From the stop signal to the moment open connections are closed by force.
    pub drain: Duration,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            connections: connections_max(),
            long_lived: LongLivedShare::default(),
            header_read: Duration::from_secs(30),
            drain: DRAIN_TIMEOUT,
        }
    }
}
