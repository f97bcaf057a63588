//! The seam between the journal and a disk: one directory of files, blocking calls.
//!
//! The journal works on any [`Disk`]. [`RealDisk`] is a directory, [`ReadOnlyDisk`] one that is only looked
//! at. With the feature `simulation` there is also `SimulatedDisk`: memory that forgets what was not synced,
//! tears writes, fills up and fails when it is told to.

mod identity;
mod read_only;
mod real;
#[cfg(feature = "simulation")]
mod simulated;

use std::{io, sync::Arc};

#[cfg(feature = "simulation")]
pub use self::simulated::{Fault, HeldSyncs, Removal, SimulatedDisk};
pub use self::{read_only::ReadOnlyDisk, real::RealDisk};

/// One flat directory of files, held open: whatever becomes of its path, all calls but
/// [`Disk::is_in_place`] are about this directory.
///
/// A file that was created, renamed or removed is only surely so after [`Disk::sync_dir`].
pub trait Disk: Send + Sync {
    /// The names of all files, in no order.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], or what the operating system says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates an empty file.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], [`io::ErrorKind::QuotaExceeded`] if no more files can be
    /// opened now and none was made, or what the operating system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives the file `from` the name `to`; a file already called that is lost.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all creations, renames and removals durable.
    ///
    /// # Errors
    /// What the operating system says. It is then unknown which of them are durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// Which file has the name `name` now; `None` if none has. It looks at names and at no content.
    ///
    /// # Errors
    /// What the operating system says. It is then unknown which file has the name.
    fn identity(&self, name: &str) -> io::Result<Option<FileIdentity>>;

    /// Whether the path that the directory was opened by still leads to it.
    ///
    /// # Errors
    /// What the operating system says. It is then unknown where the path leads.
    fn is_in_place(&self) -> io::Result<bool>;

    /// Whether the path of the directory, and `name` in it, still lead to this file.
    ///
    /// # Errors
    /// As [`Disk::is_in_place`].
    fn is_file_in_place(&self, name: &str, identity: FileIdentity) -> io::Result<bool> {
        Ok(self.is_in_place()? && self.identity(name)? == Some(identity))
    }

    /// Takes the directory for this process until the lock is dropped.
    ///
    /// # Errors
    /// [`LockError`].
    fn lock(&self) -> Result<Box<dyn DiskLock>, LockError>;
}

/// Which file it is, whatever its names are. While a file is open no other file has its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

/// One open file. Reads may run beside one writer.
pub trait DiskFile: Send + Sync {
    /// Which file it is.
    ///
    /// # Errors
    /// What the operating system says.
    fn identity(&self) -> io::Result<FileIdentity>;

    /// A path by which other processes can read the file as long as it is open, even if it has no
    /// name any more. `None` if there is no such path.
    fn open_path(&self) -> Option<String>;

    /// Bytes in the file.
    ///
    /// # Errors
    /// What the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file holds nothing.
    ///
    /// # Errors
    /// As [`DiskFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before, or what the operating system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`. Durable only after [`DiskFile::sync_data`].
    ///
    /// # Errors
    /// What the operating system says; a part may have been written.
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file down to `len` bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes the file at least `len` bytes long and takes the space for them now, so that a later
    /// write finds it. What was not written before reads as zeros.
    ///
    /// A file system that cannot reserve only makes the file longer; running out of space then
    /// shows later, in a write or a sync.
    ///
    /// # Errors
    /// What the operating system says. The file may then be of any length between.
    fn reserve(&self, len: u64) -> io::Result<()>;

    /// Makes everything written so far durable, with the length.
    ///
    /// # Errors
    /// What the operating system says. It is then unknown what is durable, and a second call that
    /// succeeds proves nothing: the operating system may have dropped the data.
    fn sync_data(&self) -> io::Result<()>;
}

/// A directory taken; dropping it lets go.
pub trait DiskLock: Send + Sync {
    /// Whether it still keeps other processes out: a lock file that was removed or replaced does not.
    ///
    /// # Errors
    /// What the operating system says. It is then unknown.
    fn is_in_place(&self) -> io::Result<bool>;

    /// Whether no other process can have taken the directory since this was made. A real lock excludes them;
    /// where there was nothing to lock, this looks again.
    ///
    /// # Errors
    /// [`LockError`].
    fn check(&self) -> Result<(), LockError> {
        Ok(())
    }
}

/// Why a directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another process has it{}", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held {
        /// Which one, if it said so.
        pid: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("the lock file cannot be used: {0}")]
    Io(#[from] io::Error),
}
