//! Which file a path leads to.
//!
//! No call here asks for the times of a file. Since Linux 6.13 a file of which they were asked gets new times
//! with its next write, so its next `fdatasync` has to write them too: a `stat` beside each commit took half of
//! the time of the commit again.

use std::{fs, io, os::fd::AsFd, os::unix::fs::MetadataExt as _, path::Path};

use rustix::{fs::CWD, io::Errno, path::Arg};

use super::FileIdentity;

/// The file that the path `name` leads to from `dir`; `None` if there is none.
pub(super) fn look_up(dir: impl AsFd, name: impl Arg) -> io::Result<Option<FileIdentity>> {
    match stat(dir, name) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether `path` leads to the file or directory `identity`.
pub(super) fn leads_to(path: &Path, identity: FileIdentity) -> io::Result<bool> {
    Ok(look_up(CWD, path)? == Some(identity))
}

#[cfg(target_os = "linux")]
fn stat(dir: impl AsFd, name: impl Arg) -> rustix::io::Result<FileIdentity> {
    use rustix::fs::{AtFlags, StatxFlags, makedev, statx};

    let found = statx(dir, name, AtFlags::empty(), StatxFlags::INO)?;
    let device = makedev(found.stx_dev_major, found.stx_dev_minor);
    Ok(FileIdentity { device, inode: found.stx_ino })
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_cast)] // Their types differ.
fn stat(dir: impl AsFd, name: impl Arg) -> rustix::io::Result<FileIdentity> {
    let found = rustix::fs::statat(dir, name, rustix::fs::AtFlags::empty())?;
    Ok(FileIdentity { device: found.st_dev as u64, inode: found.st_ino as u64 })
}

impl From<&fs::Metadata> for FileIdentity {
    fn from(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_is_the_same_by_its_path_and_when_it_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = File::create(&path).unwrap();
        let identity = FileIdentity::from(&file.metadata().unwrap());
        assert!(leads_to(&path, identity).unwrap());
        let open_dir = File::open(dir.path()).unwrap();
        assert_eq!(look_up(&open_dir, "file").unwrap(), Some(identity));
        assert_eq!(look_up(&open_dir, "other").unwrap(), None);
        assert!(!leads_to(&path.join("below a file"), identity).unwrap());
        fs::rename(&path, dir.path().join("moved")).unwrap();
        File::create(&path).unwrap();
        assert!(!leads_to(&path, identity).unwrap());
    }
}
