//! The limits of a facade: what clients can fill, with units and reasons.
//!
//! Sizes that other programs agree on are in [`oncelog::limits`]. What no client can fill is tuned by
//! constants in the module that uses it.

use std::time::Duration;

use oncelog::{
    limits::{self, CALL_MESSAGES_MAX, HTTP_BODY_BYTES_MAX},
    net::{CONNECTIONS_MAX, LongLivedShare, NetLimits},
};

use crate::delivery::DeliveryLimits;

/// Lines of one upload that are delivered as one group, if they arrive together.
pub(crate) const UPLOAD_LINES_TOGETHER_MAX: usize = CALL_MESSAGES_MAX / 2;

/// The smallest read buffer that the HTTP library takes.
const HEADER_BYTES_MIN: usize = 8 * 1024;

/// Every limit of a facade. Tests use smaller ones than the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections, and what arrives on them.
    pub edge: EdgeLimits,
    /// Lines of uploads under way.
    pub uploads: UploadLimits,
    /// Bytes of all bodies that are arriving in more than one piece. Without it the memory of the facade
    /// could grow by as much as there are connections times the largest body.
    pub bodies_bytes: usize,
    /// Reads of the log.
    pub reads: ReadLimits,
    /// Asking another service for its state, for the answer to a readiness probe.
    pub readiness: Duration,
}

/// The limits of reads of the log. Both kinds together are fewer than the logging service serves, so that
/// other readers find some left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLimits {
    /// Reads of which the first page is not there yet, or all of it. They take as long as the logging service
    /// does; no client can hold one up.
    pub pages: usize,
    /// Reads of more than a page, which go on while their client takes what was read. Of those, the slowest
    /// one makes way for a new one.
    pub lists: usize,
    /// Bytes of a page: what is read before any of it is sent. A chunk of the logging service is half of it.
    pub page_bytes: usize,
    /// Bytes of all pages that wait for their clients. What does not fit is sent as a list.
    pub pages_bytes: usize,
}

/// The limits of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeLimits {
    /// Open connections. For further ones, those that are idle for longest are closed.
    pub connections: usize,
    /// The part of them that may have a long-lived response under way.
    pub long_lived: LongLivedShare,
    /// Bytes of a request head, which is also the read buffer of a connection; at least 8 KiB.
    pub header_bytes: usize,
    /// From an accepted connection, or the end of the last answer, to a complete request head. This ends
    /// slow-header attacks and idle connections alike.
    pub header_read: Duration,
    /// Longest pause while a body arrives.
    pub body_read: Duration,
    /// Longest time for the whole body of a post: 1 MiB in 60 s is less than 18 KiB a second. A smaller
    /// part of the largest body has to be there in a part of this time, after [`EdgeLimits::body_read`].
    pub body_whole: Duration,
    /// Longest time in which a client takes nothing of its answer, and sends nothing of its request. The
    /// operating system of a client that reads may take nothing for as long as the client needs for its
    /// receive buffer: with the usual 128 KiB on Linux that is a minute at 2 kB a second.
    pub response_stall: Duration,
    /// How long a closing connection still takes in what the client sends. Without this the client's
    /// unread bytes would reset the connection and take the last answer with them.
    pub linger: Duration,
    /// From the stop signal to the forced close of connections that are still open.
    pub drain: Duration,
}

/// The limits of uploads. A message is under way from its line to its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadLimits {
    /// Messages of one upload that may be under way: a call that is answered, and the next one meanwhile.
    /// More would let one upload fill the queue and starve single posts.
    pub in_flight: usize,
    /// Messages of all uploads together that may be under way. With one post on each other connection they
    /// still fit into the queue.
    pub messages: usize,
    /// Bytes of all uploads together that may be under way: a quarter of the queue.
    pub bytes: usize,
    /// Bytes of outcomes of one upload that may wait for its client to read them: those of 80,000 lines.
    pub unread_bytes: usize,
    /// Bytes of outcomes of all uploads that may wait. Each has room for some more.
    pub unread_bytes_of_all: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            edge: EdgeLimits::default(),
            uploads: UploadLimits::default(),
            bodies_bytes: 64 * 1024 * 1024,
            reads: ReadLimits::default(),
            readiness: Duration::from_secs(1),
        }
    }
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { pages: 16, lists: 48, page_bytes: 512 * 1024, pages_bytes: 64 * 1024 * 1024 }
    }
}

impl Default for EdgeLimits {
    fn default() -> Self {
        let NetLimits { connections, long_lived, header_read, drain } = NetLimits::default();
        Self {
            connections,
            long_lived,
            header_bytes: 32 * 1024,
            header_read,
            body_read: Duration::from_secs(10),
            body_whole: Duration::from_secs(60),
            response_stall: Duration::from_secs(120),
            linger: Duration::from_secs(1),
            drain,
        }
    }
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            in_flight: limits::UPLOAD_IN_FLIGHT_MAX,
            messages: 4096,
            bytes: 16 * 1024 * 1024,
            unread_bytes: 8 * 1024 * 1024,
            unread_bytes_of_all: 64 * 1024 * 1024,
        }
    }
}

/// What does not hold of some [`Limits`]; all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("wrong limits: {}", .0.join("; "))]
pub struct InvalidLimits(Vec<&'static str>);

impl Limits {
    /// Checks every limit, and how they depend on each other and on the contract.
    ///
    /// # Errors
    /// [`InvalidLimits`] names every rule that is broken.
    pub fn validate(&self) -> Result<(), InvalidLimits> {
        let Self { edge, uploads, bodies_bytes, reads, readiness } = self;
        let timeouts =
            [edge.header_read, edge.body_read, edge.body_whole, edge.response_stall, *readiness];
        let rules = [
            (
                "edge.connections has to be from 1 to CONNECTIONS_MAX",
                (1..=CONNECTIONS_MAX).contains(&edge.connections),
            ),
            ("edge.header_bytes has to be 8 KiB or more", edge.header_bytes >= HEADER_BYTES_MIN),
            (
                "no timeout but edge.linger and edge.drain may be zero",
                timeouts.iter().all(|timeout| !timeout.is_zero()),
            ),
            (
                "uploads.in_flight has to have room for a group of lines",
                uploads.in_flight >= UPLOAD_LINES_TOGETHER_MAX,
            ),
            (
                "uploads.messages has to have room for one upload",
                uploads.messages >= uploads.in_flight,
            ),
            (
                "uploads.messages and edge.connections have to fit into the queue together",
                uploads.messages.saturating_add(edge.connections)
                    <= DeliveryLimits::DEFAULT.queue_messages_max,
            ),
            (
                "uploads.bytes has to have room for the largest line",
                uploads.bytes >= HTTP_BODY_BYTES_MAX,
            ),
            (
                "uploads.bytes has to be half of the queue's or less",
                uploads.bytes <= DeliveryLimits::DEFAULT.queue_bytes_max / 2,
            ),
            (
                "uploads.unread_bytes has to be at most uploads.unread_bytes_of_all, and that 4 GiB",
                uploads.unread_bytes <= uploads.unread_bytes_of_all
                    && uploads.unread_bytes_of_all <= u32::MAX as usize,
            ),
            (
                "bodies_bytes has to be from one body to 4 GiB",
                (HTTP_BODY_BYTES_MAX..=u32::MAX as usize).contains(bodies_bytes),
            ),
            (
                "reads.pages and reads.lists have to be from 1 to what one HTTP/2 connection takes",
                reads.pages > 0
                    && reads.lists > 0
                    && reads.pages.saturating_add(reads.lists) < limits::HTTP2_STREAMS_MAX as usize,
            ),
            (
                "reads.pages_bytes has to be from one page to 4 GiB",
                (reads.page_bytes..=u32::MAX as usize).contains(&reads.pages_bytes),
            ),
        ];
        let broken: Vec<_> =
            rules.iter().filter(|(_, holds)| !holds).map(|(rule, _)| *rule).collect();
        if broken.is_empty() { Ok(()) } else { Err(InvalidLimits(broken)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Limits);

    #[test]
    fn the_default_limits_are_valid() {
        assert_eq!(Limits::default().validate(), Ok(()));
        let reads = ReadLimits::default();
        assert!(reads.pages + reads.lists < limits::READS_MAX, "others could not read the log");
    }

    #[test]
    fn each_limit_out_of_its_range_is_named() {
        let wrong: [(&str, Change); 13] = [
            ("edge.connections", |limits| limits.edge.connections = 0),
            ("edge.header_bytes", |limits| limits.edge.header_bytes = 8191),
            ("timeout", |limits| limits.edge.header_read = Duration::ZERO),
            ("uploads.in_flight", |limits| limits.uploads.in_flight = 511),
            ("uploads.messages", |limits| limits.uploads.messages = 2047),
            ("queue", |limits| {
                limits.uploads.messages = DeliveryLimits::DEFAULT.queue_messages_max
            }),
            ("line", |limits| limits.uploads.bytes = 1024 * 1024 - 1),
            ("queue", |limits| limits.uploads.bytes = usize::MAX),
            ("unread_bytes", |limits| limits.uploads.unread_bytes = usize::MAX),
            ("bodies_bytes", |limits| limits.bodies_bytes = usize::MAX),
            ("reads.pages", |limits| limits.reads.pages = 0),
            ("reads.lists", |limits| limits.reads.lists = usize::MAX),
            ("reads.pages_bytes", |limits| limits.reads.page_bytes = usize::MAX),
        ];
        for (name, change) in wrong {
            let mut limits = Limits::default();
            change(&mut limits);
            let InvalidLimits(broken) = limits.validate().unwrap_err();
            assert!(broken.len() == 1 && broken[0].contains(name), "{name}: {broken:?}");
        }
        let mut limits = Limits::default();
        wrong.iter().take(4).for_each(|(_, change)| change(&mut limits));
        assert_eq!(limits.validate().unwrap_err().0.len(), 4);
    }
}
