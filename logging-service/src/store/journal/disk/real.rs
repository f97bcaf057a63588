//! A directory of a real file system.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
    process::{Pid, test_kill_process},
};

use super::{Disk, DiskFile, DiskLock, LockError};

/// Never removed: a lock on a removed file would exclude no process.
pub(super) const LOCK_FILE: &str = "LOCK";

/// A directory of a real, local file system.
///
/// The file system must keep what `fdatasync` reported, and write single 512-byte sectors whole.
#[derive(Debug, Clone)]
pub struct RealDisk {
    dir: PathBuf,
    /// Open for good: syncing it must not depend on a file descriptor being free.
    handle: Arc<File>,
}

impl RealDisk {
    /// The directory `dir`, which is created if there is none.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        create_dir_durably(&dir)?;
        Self::open_existing(dir)
    }

    /// The directory `dir`, which must exist: for looking at a journal, not for starting one.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], or what the operating system says.
    pub fn open_existing(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        if fs::metadata(&dir)?.is_dir() {
            let handle = Arc::new(File::open(&dir)?);
            Ok(Self { dir, handle })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// A new directory is only surely there once its parent is synced.
fn create_dir_durably(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    create_dir_durably(parent)?;
    match fs::create_dir(dir) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        other => other?,
    }
    File::open(parent)?.sync_all()
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        list(&self.dir)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path(name));
        Ok(Arc::new(RealFile(file.map_err(out_of_files)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn lock(&self) -> Result<Box<dyn DiskLock>, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held_by(&mut file)),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // Also only for people: a full disk must not keep a journal from being read.
        let _ = file.set_len(0).and_then(|()| file.rewind());
        let _ = writeln!(file, "{}", process::id());
        Ok(Box::new(file))
    }
}

/// The names in `dir`.
pub(super) fn list(dir: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Another process has the lock `file`, in which the last one that writes to the directory has left its id.
pub(super) fn held_by(file: &mut File) -> LockError {
    let mut pid = String::new();
    // Only a courtesy to people, so an unreadable pid is no pid.
    let _ = file.read_to_string(&mut pid);
    // One that only looks at the directory leaves no id, and the id of one that has ended would mislead.
    let runs = |pid: &u32| {
        let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
    };
    LockError::Held { pid: pid.trim().parse().ok().filter(runs) }
}

/// The operating system takes a descriptor before it makes a file, so without one nothing is made.
fn out_of_files(error: io::Error) -> io::Error {
    match Errno::from_io_error(&error) {
        Some(Errno::MFILE | Errno::NFILE) => io::Error::new(
            io::ErrorKind::QuotaExceeded,
            format!("no room for one more open file: {error}"),
        ),
        Some(_) | None => error,
    }
}

/// Closing the file lets go of its lock.
impl DiskLock for File {}

struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let now = self.len()?;
        if len <= now {
            return Ok(());
        }
        loop {
            // From the start, so that holes left in front of the new part are filled as well.
            match fallocate(&self.0, FallocateFlags::empty(), 0, len) {
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return self.0.set_len(len),
                other => return Ok(other?),
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
