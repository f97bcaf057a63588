//! A directory of a real file system.

use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Dir, FallocateFlags, Mode, OFlags, fallocate, openat, renameat, unlinkat},
    io::{Errno, retry_on_intr},
    process::{Pid, test_kill_process},
};

use super::{
    Disk, DiskFile, DiskLock, FileIdentity, LockError,
    identity::{leads_to, look_up},
};

/// Never removed: a lock on a removed file would exclude no process.
pub(super) const LOCK_FILE: &str = "LOCK";

/// Modes of what is created: stored messages are for their owner alone.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A directory of a real, local file system.
///
/// The file system must keep what `fdatasync` reported, and write single 512-byte sectors whole.
#[derive(Debug, Clone)]
pub struct RealDisk {
    dir: PathBuf,
    /// Open for good: its files are found by it and not by the path, which may lead to another directory
    /// one day, and syncing it does not depend on a file descriptor being free.
    handle: Arc<File>,
    identity: FileIdentity,
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
            let identity = (&handle.metadata()?).into();
            Ok(Self { dir, handle, identity })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(FILE_MODE);
        Ok(retry_on_intr(|| openat(&*self.handle, name, flags, mode))?.into())
    }

    fn create_file(&self, name: &str) -> io::Result<File> {
        let file = self.open_file(name, OFlags::CREATE | OFlags::EXCL)?;
        // A umask can take bits from the owner as well.
        if file.metadata()?.mode() & FILE_MODE != FILE_MODE {
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        }
        Ok(file)
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
    match DirBuilder::new().mode(DIR_MODE).create(dir) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        created => {
            created?;
            // A umask can take bits from the owner as well.
            if fs::metadata(dir)?.mode() & DIR_MODE != DIR_MODE {
                fs::set_permissions(dir, Permissions::from_mode(DIR_MODE))?;
            }
        }
    }
    File::open(parent)?.sync_all()
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        list(&self.handle)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(self.open_file(name, OFlags::empty())?)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(self.create_file(name).map_err(out_of_files)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&*self.handle, from, &*self.handle, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&*self.handle, name, AtFlags::empty())?)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn identity(&self, name: &str) -> io::Result<Option<FileIdentity>> {
        look_up(&*self.handle, name)
    }

    fn is_in_place(&self) -> io::Result<bool> {
        leads_to(&self.dir, self.identity)
    }

    /// By one call of the operating system: it is asked twice for each commit.
    fn is_file_in_place(&self, name: &str, identity: FileIdentity) -> io::Result<bool> {
        leads_to(&self.dir.join(name), identity)
    }

    fn lock(&self) -> Result<Box<dyn DiskLock>, LockError> {
        let mut file = match self.create_file(LOCK_FILE) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.open_file(LOCK_FILE, OFlags::empty())?
            }
            created => created?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held_by(&mut file)),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // Also only for people: a full disk must not keep a journal from being read.
        let _ = file.set_len(0).and_then(|()| file.rewind());
        let _ = writeln!(file, "{}", process::id());
        let identity = (&file.metadata()?).into();
        Ok(Box::new(RealLock { _file: file, identity, disk: self.clone() }))
    }
}

/// The names in `dir`.
pub(super) fn list(dir: &File) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
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

struct RealLock {
    /// Closing it lets go of its lock.
    _file: File,
    identity: FileIdentity,
    disk: RealDisk,
}

impl DiskLock for RealLock {
    fn is_in_place(&self) -> io::Result<bool> {
        Ok(self.disk.identity(LOCK_FILE)? == Some(self.identity))
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn identity(&self) -> io::Result<FileIdentity> {
        Ok((&self.0.metadata()?).into())
    }

    fn open_path(&self) -> Option<String> {
        Some(format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd()))
    }

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
