//! Opens the store that the settings name.

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use oncelog::{net::open_files_max, process::exit::Exit};

use crate::{
    log::{Index, OpenStore},
    settings::{Settings, StoreKind},
    store::{
        journal::{
            Journal, OpenError, Options, Progress,
            disk::{Disk, RealDisk},
        },
        memory::MemoryStore,
    },
};

/// How often a long start reports its progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// The directory cannot be used.
    #[error("cannot use the data directory {}: {source}", .dir.display())]
    Dir {
        /// The directory.
        dir: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The journal in it cannot be opened.
    #[error("{}: {source}", .dir.display())]
    Journal {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: OpenJournalError,
    },
    /// The thread that opened it panicked; standard error says why.
    #[error("opening the store failed unexpectedly")]
    Panicked,
}

/// Why a journal could not be opened and indexed.
#[derive(Debug, thiserror::Error)]
pub enum OpenJournalError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is whole, and yet holds records twice.
    #[error(
        "{ids} ids are stored more than once. Nothing was changed. `oncelog journal verify` names \
         them"
    )]
    StoredTwice {
        /// How many.
        ids: usize,
    },
}

impl OpenStoreError {
    /// The code the process exits with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Journal { source: OpenJournalError::Open(error), .. } => error.exit(),
            Self::Journal { source: OpenJournalError::StoredTwice { .. }, .. } => Exit::Damaged,
            Self::Dir { .. } => Exit::Disk,
            Self::Panicked => Exit::Failure,
        }
    }
}

/// Opens the store that `settings` name and checks all of it.
///
/// # Errors
/// [`OpenStoreError`].
pub fn open(settings: &Settings) -> Result<OpenStore, OpenStoreError> {
    match settings.store {
        StoreKind::Memory => {
            Ok(OpenStore { store: Box::<MemoryStore>::default(), index: Index::default() })
        }
        StoreKind::Journal => {
            let dir = settings.data_dir.clone();
            let disk = RealDisk::open(&dir)
                .map_err(|source| OpenStoreError::Dir { dir: dir.clone(), source })?;
            open_journal(Arc::new(disk), options(settings))
                .map_err(|source| OpenStoreError::Journal { dir, source })
        }
    }
}

/// Readers keep at most a quarter of the files this process may open, so that the next segment
/// finds one whatever its limit is.
fn options(settings: &Settings) -> Options {
    let default = Options::default();
    let open_segments_max = default.open_segments_max.min(open_files_max() / 4);
    Options { segment_bytes: settings.segment_bytes, open_segments_max, ..default }
}

/// Records that are indexed at a time.
const INDEXED_TOGETHER: usize = 1024;

/// Opens the journal on `disk`, checks all of it, and indexes its ids.
///
/// # Errors
/// [`OpenJournalError`].
pub fn open_journal(disk: Arc<dyn Disk>, options: Options) -> Result<OpenStore, OpenJournalError> {
    let index = Index::default();
    let mut records = Vec::with_capacity(INDEXED_TOGETHER);
    let mut stored_twice = 0;
    let mut reported = Instant::now();
    let journal = Journal::open(
        disk,
        options,
        &mut |id, address| {
            records.push((id, address));
            if records.len() == INDEXED_TOGETHER {
                stored_twice += index.insert_all(records.drain(..));
            }
        },
        &mut |progress| report_progress(progress, &mut reported),
    )?;
    stored_twice += index.insert_all(records.drain(..));
    if stored_twice > 0 {
        return Err(OpenJournalError::StoredTwice { ids: stored_twice });
    }
    Ok(OpenStore { store: Box::new(journal), index })
}

fn report_progress(progress: Progress, reported: &mut Instant) {
    if reported.elapsed() >= PROGRESS_INTERVAL {
        *reported = Instant::now();
        let percent = progress.done_bytes * 100 / progress.total_bytes.max(1);
        tracing::info!("reading and checking the journal: {percent} %");
    }
}
