//! A disk in memory that does all a real one may do to its users.
//!
//! Between two syncs nothing is certain: at a [`SimulatedDisk::crash`] each 512-byte block written
//! since, each change of a length and each name given or taken survives or does not, as the seed
//! decides. No clock, no operating system: the same calls and seeds give the same disk.

mod file;
mod state;

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use self::{
    file::SimulatedFile,
    state::{DirChange, State},
};
use super::{Disk, DiskFile, DiskLock, FileIdentity, LockError};

/// A disk in memory. A clone is the same disk; [`SimulatedDisk::snapshot`] makes another one.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// A sync begins to wait, or syncs are no longer held up.
    syncs_changed: Condvar,
}

/// Holds syncs up until it is dropped.
pub struct HeldSyncs(SimulatedDisk);

/// What happens at an operation chosen with [`SimulatedDisk::inject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails. A write may have been done in part. A sync drops what it should have
    /// made durable, and the next sync pretends that all is well.
    Fail(io::ErrorKind),
    /// The machine stops in the middle of the operation: this and all later ones fail until
    /// [`SimulatedDisk::crash`] starts it again.
    Crash,
}

/// What something outside the journal does to the directory while it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Its path leads elsewhere, or nowhere. Open files stay.
    Directory,
    /// The lock file has another file's name.
    LockFile,
    /// What the path leads to cannot be told any more.
    Unknown,
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Power off and on again. `seed` decides what survives of everything that was not synced.
    /// Files and locks from before are dead; faults that were not reached are forgotten.
    pub fn crash(&self, seed: u64) {
        self.state().crash(seed);
    }

    /// A new, independent disk with what is surely durable on this one.
    pub fn snapshot(&self) -> Self {
        let state = Mutex::new(self.state().snapshot());
        Self(Arc::new(Shared { state, syncs_changed: Condvar::new() }))
    }

    /// Lets `fault` happen at the `n`th operation from now, counted from zero. Any call of a file
    /// or of the disk is one operation.
    pub fn inject(&self, n: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.operations + n;
        state.fault = Some((at, fault));
    }

    /// Whether the fault given to [`SimulatedDisk::inject`] has not happened yet.
    pub fn fault_is_pending(&self) -> bool {
        self.state().fault.is_some()
    }

    /// Limits the bytes all files may have together; `None` is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Bytes all files have together.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Everything a reader sees now: names and contents, in order of the names.
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.state();
        let seen = |file| state.seen(file).map(<[u8]>::to_vec).unwrap_or_default();
        state.names.iter().map(|(name, file)| (name.clone(), seen(*file))).collect()
    }

    /// What a reader of `name` sees now; `None` if there is no such file.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.contents().into_iter().find_map(|(found, bytes)| (found == name).then_some(bytes))
    }

    /// Makes `bytes` the durable content of `name`, as something outside the journal would.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.state().put(name, bytes);
    }

    /// Makes `name` go away durably, as something outside the journal would.
    pub fn delete(&self, name: &str) {
        self.state().delete(name);
    }

    /// Lets `removal` happen now, for all who have the directory open.
    pub fn remove_from_outside(&self, removal: Removal) {
        self.state().removal = Some(removal);
    }

    /// Takes back what [`SimulatedDisk::remove_from_outside`] did.
    pub fn put_back(&self) {
        self.state().removal = None;
    }

    /// Flips bit `bit` of the durable content of `name`, counted from the lowest bit of the first
    /// byte. Nothing happens if there is no such bit.
    pub fn flip_bit(&self, name: &str, bit: u64) {
        let Some(mut bytes) = self.read(name) else { return };
        let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| bytes.get_mut(at)) else {
            return;
        };
        *byte ^= 1 << (bit % 8);
        self.put(name, &bytes);
    }

    /// Lets every sync wait in front of the disk until the guard is dropped.
    pub fn hold_syncs(&self) -> HeldSyncs {
        self.state().syncs_are_held = true;
        HeldSyncs(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the name of a file that must be there.
    fn change_name(&self, name: &str, change: DirChange) -> io::Result<()> {
        let mut state = self.state();
        let start = state.starts;
        state.change(start, |state| {
            if !state.names.contains_key(name) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.change_dir(change);
            Ok(())
        })
    }

    /// Waits while `condition` holds.
    fn wait_while(&self, condition: impl FnMut(&mut State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.0.syncs_changed.wait_while(self.state(), condition);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldSyncs {
    /// Waits until a sync is held up. Everything it is to make durable is written.
    pub fn wait_for_one(&self) {
        drop(self.0.wait_while(|state| state.syncs_waiting == 0));
    }
}

impl Drop for HeldSyncs {
    fn drop(&mut self) {
        self.0.state().syncs_are_held = false;
        self.0.0.syncs_changed.notify_all();
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.disk_operation()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.disk_operation()?;
        let file = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimulatedFile { disk: self.clone(), file, start: state.starts }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        let start = state.starts;
        let file = state.change(start, |state| {
            if state.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let file = state.new_file();
            state.change_dir(DirChange::Add(name.to_owned(), file));
            Ok(file)
        })?;
        Ok(Arc::new(SimulatedFile { disk: self.clone(), file, start }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change_name(from, DirChange::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change_name(name, DirChange::Remove(name.to_owned()))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.disk_operation()?;
        state.sync_dir();
        Ok(())
    }

    /// Looking at names is no operation: what a crash or a fault does then, it does at the next one.
    fn identity(&self, name: &str) -> io::Result<Option<FileIdentity>> {
        Ok(self.state().names.get(name).map(|file| file.identity()))
    }

    fn is_in_place(&self) -> io::Result<bool> {
        match self.state().removal {
            None | Some(Removal::LockFile) => Ok(true),
            Some(Removal::Directory) => Ok(false),
            Some(Removal::Unknown) => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    fn lock(&self) -> Result<Box<dyn DiskLock>, LockError> {
        let mut state = self.state();
        state.disk_operation().map_err(io::Error::from)?;
        if state.locked {
            return Err(LockError::Held { pid: None });
        }
        state.locked = true;
        Ok(Box::new(SimulatedLock { disk: self.clone(), start: state.starts }))
    }
}

struct SimulatedLock {
    disk: SimulatedDisk,
    start: u64,
}

impl DiskLock for SimulatedLock {
    fn is_in_place(&self) -> io::Result<bool> {
        Ok(self.disk.state().removal != Some(Removal::LockFile))
    }
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.starts == self.start {
            state.locked = false;
        }
    }
}
