//! An open file of the simulated disk.

use std::io;

use super::{
    SimulatedDisk,
    state::{FileId, Interrupted},
};
use crate::store::journal::disk::{DiskFile, FileIdentity};

pub(super) struct SimulatedFile {
    pub(super) disk: SimulatedDisk,
    pub(super) file: FileId,
    pub(super) start: u64,
}

/// Simulated files are small, so an offset that does not fit is a mistake of the caller.
fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}

impl DiskFile for SimulatedFile {
    fn identity(&self) -> io::Result<FileIdentity> {
        Ok(self.file.identity())
    }

    fn open_path(&self) -> Option<String> {
        None
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.operation(self.start)?;
        Ok(state.seen(self.file)?.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operation(self.start)?;
        let start = index(offset)?;
        let seen = state.seen(self.file)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::InvalidInput)?;
        buffer.copy_from_slice(seen.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = index(offset)?;
        let mut state = self.disk.state();
        let done = state.operation(self.start);
        if let Err(Interrupted::Fails(error)) = done {
            // Half of it arrived, which is what a write may do that fails.
            if !state.is_dead(self.start) {
                let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
                let _ = state.write(self.file, offset, half);
            }
            return Err(error);
        }
        state.survive_or(done, |state| state.write(self.file, offset, bytes))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let len = index(len)?;
        self.disk.state().change(self.start, |state| state.set_length(self.file, len))
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let len = index(len)?;
        self.disk.state().change(self.start, |state| {
            if state.seen(self.file)?.len() < len {
                state.set_length(self.file, len)
            } else {
                Ok(())
            }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.state().syncs_waiting += 1;
        self.disk.0.syncs_changed.notify_all();
        let mut state = self.disk.wait_while(|state| state.syncs_are_held);
        state.syncs_waiting -= 1;
        match state.operation(self.start) {
            Ok(()) => state.sync(self.file),
            Err(Interrupted::Fails(error)) => {
                if !state.is_dead(self.start) {
                    state.drop_dirty(self.file)?;
                }
                Err(error)
            }
            Err(stops @ Interrupted::Stops) => Err(stops.into()),
        }
    }
}
