//! Opens the store that the settings name.

use oncelog::exit::Exit;

use crate::{
    log::Index,
    settings::{Settings, StoreKind},
    store::{Store, memory::MemoryStore},
};

/// A store, and the ids of all its records.
pub struct OpenStore {
    /// The store.
    pub store: Box<dyn Store>,
    /// Where each of its records is.
    pub index: Index,
}

/// Why a store could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// Opening it went wrong in an unforeseen way.
    #[error("opening the store failed unexpectedly: {0}")]
    Panicked(String),
}

impl OpenStoreError {
    /// The code the process exits with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Panicked(_) => Exit::Failure,
        }
    }
}

/// Opens the store and checks all of it.
///
/// # Errors
/// [`OpenStoreError`]; then nothing was changed.
pub fn open(settings: &Settings) -> Result<OpenStore, OpenStoreError> {
    match settings.store {
        StoreKind::Journal => Err(OpenStoreError::Panicked("journal not merged yet".to_owned())),
        StoreKind::Memory => {
            Ok(OpenStore { store: Box::<MemoryStore>::default(), index: Index::default() })
        }
    }
}
