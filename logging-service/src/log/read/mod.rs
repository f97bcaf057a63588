//! Reading the log as a stream of chunks.
//!
//! `scan` reads a part of the log that ends. `follow` serves one subscriber that waits for more;
//! `throttle` limits all of them together while messages are appended, and `tail_cache` shares the `chunk`s
//! that they read.

mod chunk;
mod follow;
mod scan;
mod tail_cache;
mod throttle;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use futures_util::stream::BoxStream;
use oncelog::message::StreamName;

pub use self::chunk::Chunk;
use self::follow::Followers;
pub(super) use self::scan::Scanner;
use crate::store::ReadError;

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct ReadRange {
    /// Only this stream; all if absent.
    pub stream: Option<StreamName>,
    /// Only greater sequences.
    pub after: u64,
    /// At most this many records; all if absent.
    pub limit: Option<u64>,
    /// Whether to wait for more at the end of the log.
    pub follow: bool,
}

/// Chunks of at least one record, in log order. Ends after an error, and without `follow` at what
/// was the end of the log when it was opened.
///
/// Dropping it ends the read; a scan of the disk that has begun finishes by itself.
pub type ReadStream = BoxStream<'static, Result<Arc<Chunk>, ReadError>>;

/// All reads of one log.
pub(super) struct Reads {
    scanner: Scanner,
    /// What the present followers share.
    followers: Mutex<Weak<Followers>>,
}

impl Reads {
    pub(super) fn new(scanner: Scanner) -> Self {
        Self { scanner, followers: Mutex::default() }
    }

    /// Opens a stream.
    pub(super) fn open(&self, range: ReadRange) -> ReadStream {
        let scanner = self.scanner.clone();
        if range.follow {
            Box::pin(follow::follow(self.followers(), scanner, range))
        } else {
            Box::pin(scan::read(scanner, range))
        }
    }

    fn followers(&self) -> Arc<Followers> {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.upgrade().unwrap_or_else(|| {
            let first = Arc::new(Followers::new(&self.scanner));
            *followers = Arc::downgrade(&first);
            first
        })
    }
}

/// For a read whose thread or task panicked.
fn panicked() -> ReadError {
    ReadError::Io { file: "log".to_owned(), source: io::Error::other("the read panicked") }
}
