//! The durable log: segment files, one frame per commit, one sync per frame.
//!
//! `docs/journal-format.md` describes the bytes. In reading order:
//!
//! - [`disk`]: the seam to a real or a simulated disk
//! - `format`, `segment`, `frame`, `record`: the bytes; `chain`: what links them
//! - `frame_builder`, `writer`: the only code that adds to the log
//! - `reader`: [`Reader`], beside the writer
//! - `place`: whether a start would find the files that are open
//! - `scrub`, over a `window` of each file: the one pass over the log that decides what is damage
//! - `recovery`: [`Journal::open`]
//! - [`verify`], [`repair`]: what a person runs on a journal that no process has open
//!
//! What survives which crash: a commit that returned survives all of them, as long as the disk
//! keeps what it reported synced and writes 512-byte sectors whole. A commit that did not return is
//! there whole or not at all. Damage to what was synced is found and named; it is never taken for
//! an unfinished write, but for one case: damage to the last frame that no seal follows yet
//! ([`Store::seal`]).

pub mod disk;
pub mod repair;
pub mod verify;

mod bytes;
mod chain;
mod error;
mod format;
mod frame;
mod frame_builder;
mod place;
mod reader;
mod record;
mod recovery;
mod scrub;
mod segment;
mod window;
mod writer;

use std::{fmt, io, sync::Arc, time::SystemTime};

use oncelog::message::Message;

pub use self::error::{Damage, InspectError, OpenError, Progress};
use self::{
    frame::Kind,
    frame_builder::FrameBuilder,
    place::Place,
    reader::Published,
    writer::{Writer, WrittenFrame},
};
use super::{Address, CommitAnswer, CommitError, Committed, Orphaned, Reader, Store};

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
    /// Where the salt of each segment comes from: a number that no client can guess.
    pub salts: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            open_segments_max: OPEN_SEGMENTS_MAX,
            salts: Arc::new(|| fastrand::u64(..)),
        }
    }
}

/// A durable [`Store`]. After [`CommitError::Failed`] it answers nothing else until it is opened again.
///
/// # Panics
/// Its methods assert what the log above it and the journal itself guarantee: a batch fits one frame,
/// and a frame continues the one before it. A failed assertion writes nothing of the batch.
pub struct Journal {
    writer: Writer,
    published: Arc<Published>,
    frame: FrameBuilder,
    /// Whether the last frame holds records, which no later frame proves yet.
    needs_seal: bool,
    /// Bytes of the frame that found no space last.
    wanted_bytes: u64,
    /// Why the journal must not be used again.
    failure: Option<(io::ErrorKind, String)>,
    place: Place,
    /// Why nothing must be written any more. It stays: another process may have written meanwhile.
    orphaned: Option<Orphaned>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("segment", &self.writer.segment.name)
            .field("last_sequence", &self.last_sequence())
            .field("failure", &self.failure)
            .field("orphaned", &self.orphaned)
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

    /// Whether a start would find what is written next.
    fn refuse_if_orphaned(&mut self) -> Result<(), CommitError> {
        if self.orphaned.is_none() {
            self.orphaned = self.place.check(&self.writer.segment, &self.published).err();
        }
        self.orphaned.clone().map_or(Ok(()), |orphaned| Err(CommitError::Orphaned(orphaned)))
    }

    /// Remembers what a failed operation means for the next ones.
    fn note<T>(&mut self, result: Result<T, CommitError>) -> Result<T, CommitError> {
        if let Err(CommitError::Failed(error)) = &result {
            self.failure = Some((error.kind(), error.to_string()));
        }
        result
    }

    /// Writes the frame that was built, makes it durable, and shows it to the readers.
    fn append(&mut self) -> Result<WrittenFrame, CommitError> {
        self.refuse_if_orphaned()?;
        let result = self.write_durably();
        if matches!(result, Err(CommitError::NoSpace(_))) {
            return result;
        }
        // Before anything is acknowledged, and before the disk is blamed for what is gone.
        if let Err(CommitError::Orphaned(orphaned)) = self.refuse_if_orphaned() {
            return Err(CommitError::WrittenToOrphan(orphaned));
        }
        let written = result?;
        self.published.publish(&self.writer, written, &self.frame.distances);
        Ok(written)
    }

    fn write_durably(&mut self) -> Result<WrittenFrame, CommitError> {
        let result = self.writer.write(&mut self.frame);
        // What found no space stays wanted, whatever smaller frame is written meanwhile.
        match &result {
            Err(CommitError::NoSpace(_)) => {
                self.wanted_bytes = self.wanted_bytes.max(self.frame.frame_bytes());
            }
            Ok(_) if self.frame.kind == Kind::Data => self.wanted_bytes = 0,
            Ok(_)
            | Err(
                CommitError::Orphaned(_) | CommitError::WrittenToOrphan(_) | CommitError::Failed(_),
            ) => {}
        }
        let written = result?;
        self.writer.sync()?;
        Ok(written)
    }

    fn commit_frame(
        &mut self,
        batch: &[Message],
        stored_at: SystemTime,
    ) -> Result<Committed, CommitError> {
        let next_sequence = self.writer.chain.next_sequence;
        self.frame.records(next_sequence, frame::unix_nanos(stored_at), batch);
        let WrittenFrame { address, first_sequence, .. } = self.append()?;
        self.needs_seal = true;
        let distances = self.frame.distances.iter();
        let addresses = distances.map(|distance| Address(address + u64::from(*distance))).collect();
        Ok(Committed { first_sequence, addresses })
    }

    fn write_seal(&mut self) -> Result<(), CommitError> {
        self.frame.empty(Kind::Mark, 0);
        self.append()?;
        self.needs_seal = false;
        Ok(())
    }
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
        if !self.needs_seal {
            return self.refuse_if_orphaned();
        }
        let result = self.write_seal();
        self.note(result)
    }

    fn probe_space(&mut self) -> Result<(), CommitError> {
        self.check()?;
        self.refuse_if_orphaned()?;
        let result = self.writer.reserve(self.wanted_bytes);
        if result.is_err() {
            self.refuse_if_orphaned()?;
        }
        self.note(result)
    }

    fn check_place(&mut self) -> Result<(), Orphaned> {
        if self.orphaned.is_none() && self.failure.is_none() {
            self.orphaned = self.place.check_sealed(&self.writer.segment, &self.published).err();
        }
        self.orphaned.clone().map_or(Ok(()), Err)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::<Published>::clone(&self.published)
    }

    fn last_sequence(&self) -> u64 {
        self.published.last_sequence()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oncelog::clock::SystemClock;

    use super::{Journal, Options, disk::SimulatedDisk};
    use crate::{
        Execution,
        console::Console,
        limits::Limits,
        log::{AppendError, Index, Log, OpenStore, State},
        store::Store as _,
        testing::message,
    };

    #[tokio::test]
    async fn a_failed_assertion_in_the_writer_fails_the_log() {
        let disk = Arc::new(SimulatedDisk::new());
        let mut journal =
            Journal::open(disk.clone(), Options::default(), &mut |_, _| {}, &mut |_| {}).unwrap();
        // A mistake: more is said to be durable than was ever written.
        journal.writer.synced_upto = 7;
        let before = disk.contents();
        let (reader, clock) = (journal.reader(), Arc::new(SystemClock));
        let store = OpenStore { store: Box::new(journal), index: Index::default() };
        let (threads, limits) = (Execution::Threads, Limits::default());
        let log = Log::start(store, clock, Console::off(), threads, limits).unwrap();

        assert_eq!(log.append(vec![message("body")]).await, Err(AppendError::Failed));

        let mut state = log.state();
        state.wait_for(|state| matches!(state, State::Failed(_))).await.unwrap();
        assert_eq!(log.append(vec![message("body")]).await, Err(AppendError::Failed));
        assert_eq!(disk.contents(), before, "a frame was written");
        let limit = crate::store::ScanLimit { messages: 1, bytes: 1 };
        assert!(reader.scan(0, limit).unwrap().is_empty(), "a frame was published");
    }
}
