//! What can be wrong with a journal that no process has open yet.

use std::io;

use oncelog::process::exit::Exit;

use super::disk::LockError;
pub use crate::store::Damage;

/// Why a journal could not be opened. Nothing was changed on disk, except as [`OpenError::Io`] says.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the journal is in use by another process{}. Nothing was changed. Stop that process first, \
         or use another data directory",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The process id, if it is known.
        pid: Option<u32>,
    },
    /// What is on disk is not what was written.
    #[error(
        "{0}. Nothing was changed. `oncelog journal verify` lists all damage, `oncelog journal \
         repair` explains what can be kept and does it on your word"
    )]
    Damaged(Damage),
    /// A repair was interrupted after it had begun to exchange files.
    #[error(
        "a repair of the journal was interrupted. Nothing was changed now. `oncelog journal \
         repair` finishes it"
    )]
    RepairUnfinished,
    /// A later version wrote it.
    #[error(
        "{file} has format version {version}, which this version does not know. Nothing was \
         changed. Use the version of Oncelog that wrote it, or a later one"
    )]
    UnsupportedVersion {
        /// The file.
        file: String,
        /// Its version.
        version: u8,
    },
    /// The disk failed. The unfinished end of the journal may have been cut already, which opening
    /// it again continues.
    #[error("cannot {context}: {source}. Nothing that was acknowledged was changed")]
    Io {
        /// What was tried.
        context: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl OpenError {
    /// The code a process exits with that cannot go on without the journal.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Locked { .. } => Exit::Locked,
            Self::Damaged(_) | Self::RepairUnfinished | Self::UnsupportedVersion { .. } => {
                Exit::Damaged
            }
            Self::Io { .. } => Exit::Disk,
        }
    }

    pub(super) fn io(context: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { context: context.into(), source }
    }
}

/// Why a journal could not be looked at. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The directory holds none.
    #[error(
        "no journal is there: no file in the directory is a segment of one. Nothing was created"
    )]
    NoJournal,
    /// It cannot be opened or read.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl InspectError {
    /// The code a process exits with that was to look at it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoJournal => Exit::NoInput,
            Self::Open(error) => error.exit(),
        }
    }
}

impl From<LockError> for OpenError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held { pid } => Self::Locked { pid },
            LockError::Io(source) => Self::io("lock the data directory")(source),
        }
    }
}

/// How far a pass over the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub done_bytes: u64,
    /// Bytes to read in all, reserved space included.
    pub total_bytes: u64,
}
