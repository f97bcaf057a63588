//! Whether a start would find the files that are open.
//!
//! Open files outlive their names: their directory can be removed, moved, or covered by another file
//! system. Writes and syncs of them go on to succeed, and no later start finds what was written. Without
//! its lock file a directory can get a second owner. The journal looks here before it acknowledges what was written.

use std::{io, sync::Arc};

use super::{
    disk::{Disk, DiskLock},
    reader::Published,
    writer::ActiveSegment,
};
use crate::store::Orphaned;

/// Sealed segments that are looked at each time: it takes about as long as one commit.
const SEALED_AT_ONCE: usize = 128;

/// What a start would not find in its place.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the data directory was removed or replaced while it was in use")]
    Directory,
    #[error("{0} was removed from the data directory or replaced while it was in use")]
    Segment(String),
    #[error("the lock file was removed from the data directory or replaced while it was in use")]
    LockFile,
    #[error("it cannot be seen whether the data directory is still in its place: {0}")]
    Unknown(#[from] io::Error),
}

/// The directory and the lock of a journal in use.
pub(super) struct Place {
    disk: Arc<dyn Disk>,
    lock: Box<dyn DiskLock>,
    /// The sealed segment to look at next.
    next_sealed: usize,
}

impl Place {
    pub(super) fn new(disk: Arc<dyn Disk>, lock: Box<dyn DiskLock>) -> Self {
        Self { disk, lock, next_sealed: 0 }
    }

    /// Whether a start would find the directory, the segment that is written, and the lock.
    ///
    /// # Errors
    /// [`Orphaned`]: it would not, or that cannot be seen.
    pub(super) fn check(
        &self,
        active: &ActiveSegment,
        published: &Published,
    ) -> Result<(), Orphaned> {
        self.find(active).map_err(|lost| orphaned(&lost, published))
    }

    /// As [`Place::check`], and whether it would find some of the sealed segments: others at each call,
    /// in turn.
    ///
    /// # Errors
    /// As [`Place::check`].
    pub(super) fn check_sealed(
        &mut self,
        active: &ActiveSegment,
        published: &Published,
    ) -> Result<(), Orphaned> {
        self.find(active)
            .and_then(|()| self.find_directory())
            .map_err(|lost| orphaned(&lost, published))?;
        let (next, moved) = published.find_moved(self.next_sealed, SEALED_AT_ONCE);
        self.next_sealed = next;
        let found = moved.map(|moved| moved.map(Lost::Segment).unwrap_or_else(Lost::Unknown));
        found.map_or(Ok(()), |lost| Err(orphaned(&lost, published)))
    }

    fn find(&self, active: &ActiveSegment) -> Result<(), Lost> {
        if !self.disk.is_file_in_place(&active.name, active.identity)? {
            self.find_directory()?;
            return Err(Lost::Segment(active.name.clone()));
        }
        if !self.lock.is_in_place()? {
            return Err(Lost::LockFile);
        }
        Ok(())
    }

    /// Another directory may have the same files, by hard links, and misses the next ones.
    fn find_directory(&self) -> Result<(), Lost> {
        if self.disk.is_in_place()? { Ok(()) } else { Err(Lost::Directory) }
    }
}

fn orphaned(lost: &Lost, published: &Published) -> Orphaned {
    let remedy = match lost {
        Lost::Directory | Lost::Segment(_) | Lost::Unknown(_) => rescue(published),
        Lost::LockFile => "Another process may have the directory as well: stop this one and that \
                           one, and let `oncelog journal verify` look at it before the next start"
            .to_owned(),
    };
    Orphaned { reason: lost.to_string(), remedy }
}

/// How the files are saved that are still open.
fn rescue(published: &Published) -> String {
    let (open, closed) = published.open_paths();
    let mut text = if open.is_empty() {
        "No file is open by which messages could be saved".to_owned()
    } else {
        let copies = open.iter().map(|(path, name)| format!(" && cp {path} oncelog-saved/{name}"));
        format!(
            "Files without a name are gone once this process ends, so do not stop it before they \
             are saved: `mkdir -m 700 oncelog-saved{}`. Then stop it, let `oncelog journal verify` look at \
             the copy, and start with it as the data directory",
            copies.collect::<String>()
        )
    };
    if let [first, ..] = &closed[..] {
        let last = closed.last().unwrap_or(first);
        text += &format!(
            ". {} older files are not open and cannot be saved so, {first} to {last}: look for them \
             where the directory may have been moved",
            closed.len()
        );
    }
    text
}
