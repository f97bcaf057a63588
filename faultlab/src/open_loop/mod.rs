//! Load whose arrivals do not wait for answers, as those of many independent clients do not.
//!
//! - [`Plan`]: what is sent, how often, on how many connections
//! - [`Running`]: a run under way, which can be looked at and ended early
//! - `schedule`: when each message is due
//! - `connection`: one keep-alive HTTP/1.1 connection
//! - `request`, `answer`: the bytes of one post, and what the answer to it says
//! - `recorder`, [`Measured`]: latencies, counts, and what became of each message
//! - [`Audit`]: the log afterwards, compared with what clients were told
//!
//! In an open loop a latency counts from the moment the message was due, not from the moment it could
//! be sent: when the service is slow, the messages that had to wait for a free connection are slow as
//! well, and a generator that forgets them measures its own timeout ("coordinated omission"). In a
//! closed loop each connection sends when its last answer is there, which finds the capacity.

mod answer;
mod audit;
mod connection;
mod measured;
mod recorder;
mod request;
mod running;
mod schedule;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use tokio::time::Instant;

pub use self::{
    answer::{Answer, Says},
    audit::{Audit, Unreadable},
    measured::{Latencies, Measured, Slice},
    recorder::{Counts, Fate},
    running::Running,
};
use self::{connection::Connection, request::Request};

/// When messages are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)] // The line before a variant says what its fields are.
pub enum Arrivals {
    /// At a constant rate above 0, whatever the answers do.
    Open { per_second: f64 },
    /// On each connection as soon as the answer before is there.
    Closed,
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The facade.
    pub target: SocketAddr,
    /// When messages are sent.
    pub arrivals: Arrivals,
    /// From the first message that is due to the last. Answers may come later.
    pub duration: Duration,
    /// Connections, all opened beforehand. In an open loop there should be more than messages that
    /// can be under way at once.
    pub connections: usize,
    /// Bytes of the text of each message, at least [`Plan::TEXT_BYTES_MIN`].
    pub text_bytes: usize,
    /// The number of the first message. Numbers go up by one, and the text of a message begins with
    /// its number in [`Plan::TEXT_BYTES_MIN`] digits.
    pub first: u64,
    /// How long an answer may take. Then the connection is given up, and the outcome is unknown.
    pub timeout: Duration,
    /// From the call to the first message that is due. Opening the connections is a part of it; if that
    /// takes longer, the run begins when they are open.
    pub starts_in: Duration,
    /// How late a message may be sent. One that found no free connection for so long is not sent at
    /// all, and counts as [`Measured::not_sent`].
    pub lateness_max: Duration,
    /// Length of one [`Slice`] of the course over time.
    pub slice: Duration,
}

impl Plan {
    /// Digits of the number that each text begins with.
    pub const TEXT_BYTES_MIN: usize = 12;

    /// A plan with usual values: texts of 100 bytes, answers within 30 s, slices of 250 ms, and no
    /// message later than a second.
    #[must_use]
    pub const fn new(
        target: SocketAddr,
        arrivals: Arrivals,
        duration: Duration,
        connections: usize,
    ) -> Self {
        Self {
            target,
            arrivals,
            duration,
            connections,
            text_bytes: 100,
            first: 0,
            timeout: Duration::from_secs(30),
            starts_in: Duration::ZERO,
            lateness_max: Duration::from_secs(1),
            slice: Duration::from_millis(250),
        }
    }

    /// Messages that will be due; none can be told in a closed loop.
    #[must_use]
    pub fn messages(&self) -> u64 {
        schedule::messages(self.arrivals, self.duration).unwrap_or_default()
    }

    /// Opens the connections, sends what is due, and returns once every message is answered or given
    /// up.
    ///
    /// # Errors
    /// As [`Plan::start`].
    pub async fn run(&self) -> io::Result<Measured> {
        let mut running = self.start().await?;
        running.settled().await?;
        Ok(running.measured())
    }

    /// Opens the connections, and returns when the first message is due or before.
    ///
    /// # Errors
    /// The connections could not be opened. Later failures are counted.
    pub async fn start(&self) -> io::Result<Running> {
        let start = Instant::now() + self.starts_in;
        let request = Request::new(self.target, self.text_bytes);
        let opened: io::Result<Vec<Connection>> =
            join_all((0..self.connections).map(|_| Connection::open(self.target, request.clone())))
                .await
                .into_iter()
                .collect();
        Running::new(self, opened?, start.max(Instant::now()))
    }
}
