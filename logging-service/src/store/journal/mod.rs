//! The durable log: segment files, one frame per commit, one sync per frame.
//!
//! `docs/journal-format.md` describes the bytes. In reading order:
//!
//! - [`disk`]: the seam to a real or a simulated disk
//! - `segment`, `frame`, `record`: the bytes
//! - `appender`: the only code that adds to the log
//! - `reader`: [`Reader`], beside the writer
//! - `survey`: the one pass over the log that decides what is damage
//! - `recovery`: [`Journal::open`]
//! - [`verify`], [`repair`]: what a person runs on a journal nobody has open
//!
//! What survives which crash: a commit that returned survives all of them, as long as the disk
//! keeps what it reported synced and writes 512-byte sectors whole. A commit that did not return is
//! there whole or not at all. Damage to what was synced is found and named; it is never taken for
//! an unfinished write, but for one case: damage to the last frame before [`Store::seal`].

mod appender;
mod bytes;
pub mod disk;
mod error;
mod frame;
mod reader;
mod record;
mod recovery;

pub mod repair;
mod segment;
mod survey;
pub mod verify;
mod window;

use std::{fmt, io, sync::Arc, time::SystemTime};

use oncelog::message::Message;

pub use self::error::{Damage, OpenError, Progress};
use self::{
    appender::{Appender, Draft},
    disk::DiskLock,
    frame::Kind,
    reader::{JournalReader, Shared},
};
use super::{Address, CommitAnswer, CommitError, Committed, Reader, Store};

/// Bytes of a segment. Large enough that changing files costs nothing, small enough to copy.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// Segments whose files stay open for reading: more than any group of readers is at.
const OPEN_SEGMENTS_MAX: usize = 64;

/// How a journal is kept.
#[derive(Clone)]
pub struct Options {
    /// Bytes reserved for a segment. It grows beyond that only for a single larger frame.
    pub segment_bytes: u64,
    /// Segments whose files stay open for reading. Older ones are opened for each call, so that a
    /// long log does not use up the process's file descriptors.
    pub open_segments_max: usize,
    /// Where the random number of each segment comes from.
    pub epochs: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            open_segments_max: OPEN_SEGMENTS_MAX,
            epochs: Arc::new(|| fastrand::u64(..)),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("segment_bytes", &self.segment_bytes)
            .finish_non_exhaustive()
    }
}

/// A durable [`Store`].
pub struct Journal {
    appender: Appender,
    shared: Arc<Shared>,
    /// Reused for each frame.
    buffer: Vec<u8>,
    /// Whether there are records that no later frame proves.
    unmarked: bool,
    /// Bytes of the frame that found no space last.
    wanted_bytes: u64,
    /// Why the journal must not be used again.
    failure: Option<(io::ErrorKind, String)>,
    _lock: Box<dyn DiskLock>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("segment", &self.appender.current.name)
            .field("last_sequence", &self.last_sequence())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Journal {
    fn check(&self) -> Result<(), CommitError> {
        match &self.failure {
            None => Ok(()),
            Some((kind, text)) => Err(CommitError::Failed(io::Error::new(
                *kind,
                format!("the journal failed before and must be opened again: {text}"),
            ))),
        }
    }

    /// Remembers what a failed operation means for the next ones.
    fn note<T>(&mut self, result: Result<T, CommitError>) -> Result<T, CommitError> {
        if let Err(CommitError::Failed(error)) = &result {
            self.failure = Some((error.kind(), error.to_string()));
        }
        result
    }

    /// Writes the frame in `buffer` and makes it durable.
    fn append(
        &mut self,
        kind: Kind,
        stored_at: i64,
        count: u32,
    ) -> Result<appender::Written, CommitError> {
        let draft = Draft { kind, stored_at, count, buffer: &mut self.buffer };
        let frame_bytes = draft.frame_bytes();
        let result = self.appender.write(draft);
        // What found no space stays wanted, whatever smaller frame is written meanwhile.
        match &result {
            Err(CommitError::NoSpace(_)) => self.wanted_bytes = self.wanted_bytes.max(frame_bytes),
            Ok(_) if kind == Kind::Data => self.wanted_bytes = 0,
            Ok(_) | Err(CommitError::Failed(_)) => {}
        }
        let written = result?;
        self.appender.sync()?;
        Ok(written)
    }

    fn commit_frame(
        &mut self,
        batch: &[Message],
        stored_at: SystemTime,
    ) -> Result<Committed, CommitError> {
        let first_sequence = self.appender.link.next_sequence;
        let distances = encode_batch(&mut self.buffer, first_sequence, batch)
            .ok_or_else(|| CommitError::NoSpace(io::ErrorKind::FileTooLarge.into()))?;
        let count = u32::try_from(batch.len())
            .map_err(|_| CommitError::NoSpace(io::ErrorKind::FileTooLarge.into()))?;
        let written = self.append(Kind::Data, frame::unix_nanos(stored_at), count)?;
        self.unmarked = true;
        self.shared.publish(&self.appender, written, &distances);
        let addresses = distances
            .into_iter()
            .map(|distance| Address(written.address + u64::from(distance)))
            .collect();
        Ok(Committed { first_sequence: written.first_sequence, addresses })
    }

    fn mark(&mut self) -> Result<(), CommitError> {
        self.buffer.clear();
        self.buffer.resize(frame::HEADER_BYTES, 0);
        let written = self.append(Kind::Mark, 0, 0)?;
        self.unmarked = false;
        self.shared.publish(&self.appender, written, &[]);
        Ok(())
    }
}

/// Encodes a frame without its header. Returns the distance of each record, or `None` if it is
/// longer than a frame can be.
fn encode_batch(buffer: &mut Vec<u8>, first_sequence: u64, batch: &[Message]) -> Option<Vec<u32>> {
    buffer.clear();
    buffer.resize(frame::HEADER_BYTES, 0);
    (0..)
        .zip(first_sequence..)
        .zip(batch)
        .map(|((ordinal, sequence), message)| record::encode(buffer, ordinal, sequence, message))
        .collect()
}

impl Journal {
    /// As [`Store::commit`], with the answers that a journal can give.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn commit(
        &mut self,
        batch: &[Message],
        stored_at: SystemTime,
    ) -> Result<Committed, CommitError> {
        self.check()?;
        if batch.is_empty() {
            let first_sequence = self.last_sequence() + 1;
            return Ok(Committed { first_sequence, addresses: Vec::new() });
        }
        let result = self.commit_frame(batch, stored_at);
        self.note(result)
    }
}

impl Store for Journal {
    fn commit(&mut self, batch: &[Message], stored_at: SystemTime) -> CommitAnswer {
        Self::commit(self, batch, stored_at).into()
    }

    fn seal(&mut self) -> Result<(), CommitError> {
        self.check()?;
        if !self.unmarked {
            return Ok(());
        }
        let result = self.mark();
        self.note(result)
    }

    fn probe_space(&mut self) -> Result<(), CommitError> {
        self.check()?;
        let result = self.appender.make_room(self.wanted_bytes);
        self.note(result)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(JournalReader::new(Arc::clone(&self.shared)))
    }

    fn last_sequence(&self) -> u64 {
        self.shared.last_sequence()
    }
}
