//! Responses that end when their client has had enough: a class of connections with a share of its own.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::close_signal::CloseSignal;

/// The part of all connections that may be long-lived at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongLivedShare(u8);

impl LongLivedShare {
    /// `percent` of all connections.
    ///
    /// # Errors
    /// [`InvalidShare`]: more than 100.
    pub const fn percent(percent: u8) -> Result<Self, InvalidShare> {
        if percent > 100 { Err(InvalidShare(percent)) } else { Ok(Self(percent)) }
    }

    /// How many of `connections` it is. One is always left for requests.
    pub(super) fn of(self, connections: usize) -> usize {
        let share = connections.saturating_mul(self.0.into()) / 100;
        share.min(connections.saturating_sub(1))
    }
}

impl Default for LongLivedShare {
    /// Three quarters: the rest is more than the connections that post at a time.
    fn default() -> Self {
        Self(75)
    }
}

/// A share is not a percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is more than 100 percent of all connections")]
pub struct InvalidShare(u8);

/// As many long-lived responses are under way as there may be. A client may try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{max} long-lived responses are open, which is the most there may be")]
pub struct LongLivedShareFull {
    pub(super) max: usize,
}

/// A long-lived response that was admitted. It counts until its last clone is dropped.
///
/// A handler puts one clone into the extensions of its response, where the server finds it, and keeps
/// another one in what produces the body, to learn when the body has to end: for a shutdown, because the
/// connection is evicted, or because the client has left. A body that goes on after that breaks off.
#[derive(Debug, Clone)]
pub struct LongLived(Arc<Admitted>);

#[derive(Debug)]
struct Admitted {
    close: CloseSignal,
    _permit: OwnedSemaphorePermit,
}

impl LongLived {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Admitted { close: CloseSignal::default(), _permit: permit }))
    }

    /// Tells the response to end. For the server that sends it.
    pub fn close(&self) {
        self.0.close.send();
    }

    /// Returns once the response has to end. One task may wait at a time. Dropping the future changes
    /// nothing.
    pub async fn closing(&self) {
        self.0.close.sent().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_leaves_a_connection_for_requests() {
        let share = |percent| LongLivedShare::percent(percent).unwrap();
        assert_eq!(LongLivedShare::default().of(10_000), 7_500);
        assert_eq!(share(100).of(10), 9);
        assert_eq!(share(100).of(1), 0);
        assert_eq!(share(0).of(10), 0);
        assert_eq!(LongLivedShare::percent(101), Err(InvalidShare(101)));
    }
}
