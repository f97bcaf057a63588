//! A file system in a file, whose state at a moment is a copy of that file.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::{
    experiments::NotRun, mount_namespace::MountNamespace, processes::Process, programs::ToolError,
};

/// Bytes of the memory that all images are in.
const MEMORY: &str = "size=2g";

/// A file system under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fs {
    /// ext4 as it usually is.
    Ext4,
    /// ext4 that writes file contents whenever it likes.
    Ext4Writeback,
    /// XFS.
    Xfs,
}

impl Fs {
    const fn size(self) -> &'static str {
        match self {
            Self::Ext4 | Self::Ext4Writeback => "96M",
            Self::Xfs => "320M",
        }
    }

    const fn options(self) -> &'static str {
        match self {
            Self::Ext4 => "loop",
            Self::Ext4Writeback => "loop,data=writeback",
            // A copy has the name of its original.
            Self::Xfs => "loop,nouuid",
        }
    }
}

impl fmt::Display for Fs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext4 => "ext4",
            Self::Ext4Writeback => "ext4 data=writeback",
            Self::Xfs => "xfs",
        })
    }
}

/// Makes a file system in the new file `image`.
pub(super) fn format(namespace: &MountNamespace, fs: Fs, image: &Path) -> Result<(), ToolError> {
    namespace.run("truncate", &[&"-s", &fs.size(), &image])?;
    match fs {
        // Blocks of a page, as on any larger disk.
        Fs::Ext4 | Fs::Ext4Writeback => {
            namespace.run("mkfs.ext4", &[&"-q", &"-b", &"4096", &image])
        }
        Fs::Xfs => namespace.run("mkfs.xfs", &[&"-q", &image]),
    }
}

/// Mounts the file system in `image` at `at`, a directory.
pub(super) fn mount(
    namespace: &MountNamespace,
    fs: Fs,
    image: &Path,
    at: &Path,
) -> Result<(), ToolError> {
    namespace.run("mount", &[&"-o", &fs.options(), &image, &at])
}

/// Mounts a new file system in memory at `at`, a directory. `size` is its option, as mount has it.
pub(super) fn mount_memory(
    namespace: &MountNamespace,
    size: &str,
    at: &Path,
) -> Result<(), ToolError> {
    namespace.run("mount", &[&"-t", &"tmpfs", &"-o", &size, &"faultlab", &at])
}

/// A file system in memory for images, and how they are copied.
#[derive(Debug)]
pub(super) struct ImageStore {
    pub(super) namespace: MountNamespace,
    dir: PathBuf,
    /// Whether a copy is made in one moment, while writes go on.
    at_once: bool,
}

impl ImageStore {
    /// An empty one, over the directory `dir`.
    pub(super) fn new(dir: &Path) -> Result<Self, ToolError> {
        let namespace = MountNamespace::open()?;
        let (memory, store) = (dir.join("memory"), dir.join("store"));
        fs::create_dir_all(&memory)?;
        fs::create_dir_all(&store)?;
        mount_memory(&namespace, MEMORY, &memory)?;
        // Only a file system that shares blocks between files copies in a moment.
        let outer = memory.join("outer");
        let sharing = namespace
            .run("truncate", &[&"-s", &"1500M", &outer])
            .and_then(|()| namespace.run("mkfs.xfs", &[&"-q", &outer]))
            .and_then(|()| mount(&namespace, Fs::Xfs, &outer, &store));
        let (dir, at_once) = if sharing.is_ok() { (store, true) } else { (memory, false) };
        Ok(Self { namespace, dir, at_once })
    }

    /// Where the file `name` is, seen from inside.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Copies `image` to `copy`, as it is at one moment of this call. `writer` writes to it.
    pub(super) fn copy(&self, image: &Path, copy: &Path, writer: &Process) -> Result<(), NotRun> {
        if self.at_once {
            return Ok(self.cp("--reflink=always", image, copy)?);
        }
        writer.freeze()?;
        let copied = self.copy_until_same(image, copy);
        writer.resume()?;
        copied
    }

    /// The kernel may still write what it was given before; then the copy is of no one moment.
    fn copy_until_same(&self, image: &Path, copy: &Path) -> Result<(), NotRun> {
        for _ in 0..COPIES_MAX {
            self.cp("--sparse=always", image, copy)?;
            if self.namespace.run("cmp", &[&"-s", &image, &copy]).is_ok() {
                return Ok(());
            }
        }
        Err(io::Error::other("the image does not come to rest").into())
    }

    fn cp(&self, how: &str, image: &Path, copy: &Path) -> Result<(), ToolError> {
        self.namespace.run("cp", &[&how, &image, &copy])
    }
}

/// Tries to copy an image to which only the kernel still writes.
const COPIES_MAX: usize = 20;
