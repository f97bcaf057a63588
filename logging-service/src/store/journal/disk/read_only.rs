//! A directory of a real file system that is only looked at.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::Arc,
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::retry_on_intr,
};

use super::{
    Disk, DiskFile, DiskLock, FileIdentity, LockError,
    identity::{leads_to, look_up},
    real::{LOCK_FILE, held_by},
};

/// A directory of a real file system. No call of it writes, whatever it is asked to: so a journal can be looked
/// at on a read-only file system, and as it is.
#[derive(Debug, Clone)]
pub struct ReadOnlyDisk {
    dir: PathBuf,
    /// Held open, as [`Disk`] wants it.
    handle: Arc<File>,
    identity: FileIdentity,
}

impl ReadOnlyDisk {
    /// The directory `dir`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], [`io::ErrorKind::NotADirectory`], or what the operating system says.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        if fs::metadata(&dir)?.is_dir() {
            let handle = Arc::new(File::open(&dir)?);
            let identity = (&handle.metadata()?).into();
            Ok(Self { dir, handle, identity })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }
}

impl Disk for ReadOnlyDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        super::real::list(&self.handle)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(ReadOnlyFile(open_file(&self.handle, name)?)))
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        read_only()
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        read_only()
    }

    fn sync_dir(&self) -> io::Result<()> {
        read_only()
    }

    fn identity(&self, name: &str) -> io::Result<Option<FileIdentity>> {
        look_up(&*self.handle, name)
    }

    fn is_in_place(&self) -> io::Result<bool> {
        leads_to(&self.dir, self.identity)
    }

    /// Takes the directory from those that write to it, and shares it with others that only look. Where no
    /// process ever took it there is no file to lock; [`DiskLock::check`] then says whether one came meanwhile.
    fn lock(&self) -> Result<Box<dyn DiskLock>, LockError> {
        let mut file = match open_file(&self.handle, LOCK_FILE) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Box::new(NothingToLock(Arc::clone(&self.handle))));
            }
            Err(error) => return Err(error.into()),
        };
        match file.try_lock_shared() {
            Ok(()) => {
                let identity = (&file.metadata()?).into();
                let dir = Arc::clone(&self.handle);
                Ok(Box::new(SharedLock { _file: file, identity, dir }))
            }
            Err(TryLockError::WouldBlock) => Err(held_by(&mut file)),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

fn open_file(dir: &File, name: &str) -> io::Result<File> {
    // It must not wait for what is no file of a journal, such as a pipe that has the name of one.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(retry_on_intr(|| openat(dir, name, flags, Mode::empty()))?.into())
}

/// Shared with others that only look.
struct SharedLock {
    /// Closing it lets go of its lock.
    _file: File,
    identity: FileIdentity,
    dir: Arc<File>,
}

impl DiskLock for SharedLock {
    fn is_in_place(&self) -> io::Result<bool> {
        Ok(look_up(&*self.dir, LOCK_FILE)? == Some(self.identity))
    }
}

/// A directory that no process had taken, without a lock file.
struct NothingToLock(Arc<File>);

impl DiskLock for NothingToLock {
    fn is_in_place(&self) -> io::Result<bool> {
        Ok(look_up(&*self.0, LOCK_FILE)?.is_none())
    }

    fn check(&self) -> Result<(), LockError> {
        match open_file(&self.0, LOCK_FILE) {
            Ok(mut file) => Err(held_by(&mut file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

struct ReadOnlyFile(File);

impl DiskFile for ReadOnlyFile {
    fn identity(&self) -> io::Result<FileIdentity> {
        Ok((&self.0.metadata()?).into())
    }

    fn open_path(&self) -> Option<String> {
        None
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        read_only()
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        read_only()
    }

    fn reserve(&self, _: u64) -> io::Result<()> {
        read_only()
    }

    fn sync_data(&self) -> io::Result<()> {
        read_only()
    }
}

#[cfg(test)]
mod tests {
    use std::{process, sync::mpsc, thread, time::Duration};

    use super::*;
    use crate::store::journal::disk::RealDisk;

    fn is_read_only<T>(done: io::Result<T>) -> bool {
        done.is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
    }

    #[test]
    fn no_call_of_a_read_only_disk_writes() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "content").unwrap();
        let disk = ReadOnlyDisk::open(dir.path()).unwrap();
        let file = disk.open("file").unwrap();
        assert!(is_read_only(disk.create("other")) && is_read_only(disk.remove("file")));
        assert!(is_read_only(disk.rename("file", "other")) && is_read_only(disk.sync_dir()));
        assert!(is_read_only(file.write_all_at(0, b"x")) && is_read_only(file.truncate(0)));
        assert!(is_read_only(file.reserve(100)) && is_read_only(file.sync_data()));
        let lock = disk.lock().unwrap();
        lock.check().unwrap();
        assert_eq!(disk.list().unwrap(), ["file"]);
        assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"content");
    }

    #[test]
    fn a_pipe_with_the_name_of_a_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["file", LOCK_FILE] {
            let made = process::Command::new("mkfifo").arg(dir.path().join(name)).status();
            assert!(made.unwrap().success());
        }
        let disk = ReadOnlyDisk::open(dir.path()).unwrap();
        let (looked, result) = mpsc::channel();
        thread::spawn(move || looked.send((disk.open("file").is_ok(), disk.lock().is_ok())));
        assert_eq!(result.recv_timeout(Duration::from_secs(30)), Ok((true, true)));
    }

    #[test]
    fn one_that_comes_while_there_is_no_lock_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let looking = ReadOnlyDisk::open(dir.path()).unwrap().lock().unwrap();
        let _writer = RealDisk::open(dir.path()).unwrap().lock().unwrap();
        let own = process::id();
        assert!(matches!(looking.check(), Err(LockError::Held { pid: Some(pid) }) if pid == own));
    }

    #[test]
    fn those_that_look_share_a_directory_and_exclude_a_writer() {
        let dir = tempfile::tempdir().unwrap();
        let writer = RealDisk::open(dir.path()).unwrap();
        drop(writer.lock().unwrap());
        // The id of a process that is no more, as a writer leaves it that was killed.
        let mut ended = process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        fs::write(dir.path().join(LOCK_FILE), ended.id().to_string()).unwrap();
        let disk = ReadOnlyDisk::open(dir.path()).unwrap();
        let looking = (disk.lock().unwrap(), disk.lock().unwrap());
        assert!(matches!(writer.lock(), Err(LockError::Held { pid: None })));
        drop(looking);
        let _writing = writer.lock().unwrap();
        assert!(matches!(disk.lock(), Err(LockError::Held { pid: Some(_) })));
    }
}
