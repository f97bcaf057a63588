//! The moment in which a repair happens: a durable list of renames.

use std::{collections::HashSet, fmt::Write as _, io};

use crc32c::crc32c;

use crate::store::journal::{
    disk::Disk,
    error::{Damage, OpenError},
};

/// As long as this file is there, the renames in it are to be done.
const FILE: &str = "REPAIR";
const UNFINISHED_FILE: &str = "REPAIR.new";
const TITLE: &str = "oncelog repair 1";

/// The renames of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Renames {
    /// Old files and their backup names. These come first.
    pub(super) backups: Vec<(String, String)>,
    /// New files and the names they get.
    pub(super) new: Vec<(String, String)>,
}

/// Whether a repair was interrupted.
pub(in crate::store::journal) fn is_unfinished(disk: &dyn Disk) -> Result<bool, OpenError> {
    let files = disk.list().map_err(OpenError::io("list the data directory"))?;
    Ok(files.iter().any(|file| file == FILE))
}

impl Renames {
    /// Writes the list. Nothing has happened yet.
    pub(super) fn prepare(&self, disk: &dyn Disk) -> io::Result<()> {
        match disk.remove(UNFINISHED_FILE) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = disk.create(UNFINISHED_FILE)?;
        file.write_all_at(0, self.text().as_bytes())?;
        file.sync_data()?;
        // All new files are in the directory before anything relies on them.
        disk.sync_dir()
    }

    /// Makes the list count. From here on the repair can only be finished.
    pub(super) fn commit(disk: &dyn Disk) -> io::Result<()> {
        disk.rename(UNFINISHED_FILE, FILE)?;
        disk.sync_dir()
    }

    /// Does what is not done yet. May be interrupted and called again at any time.
    pub(super) fn finish(&self, disk: &dyn Disk) -> io::Result<()> {
        // The list itself may be in memory only, if the process that wrote it was interrupted.
        disk.sync_dir()?;
        let files: HashSet<_> = disk.list()?.into_iter().collect();
        for (old, backup) in &self.backups {
            // With a backup in place, a file of the old name is a new one.
            if !files.contains(backup) && files.contains(old) {
                disk.rename(old, backup)?;
            }
        }
        // No new name may become durable while the old file could still get it back.
        disk.sync_dir()?;
        for (new, name) in &self.new {
            if files.contains(new) {
                disk.rename(new, name)?;
            }
        }
        disk.sync_dir()?;
        disk.remove(FILE)?;
        disk.sync_dir()
    }

    /// The list of an interrupted repair.
    pub(super) fn read(disk: &dyn Disk) -> Result<Option<Self>, OpenError> {
        if !is_unfinished(disk)? {
            return Ok(None);
        }
        let read = || -> io::Result<Vec<u8>> {
            let file = disk.open(FILE)?;
            file.sync_data()?;
            let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
            file.read_at(0, &mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(OpenError::io(format!("read {FILE}")))?;
        let renames = std::str::from_utf8(&bytes).ok().and_then(Self::parse);
        let damage = || Damage::new(FILE, 0, "it is not the list of renames it should be");
        renames.map(Some).ok_or_else(|| OpenError::Damaged(damage()))
    }

    fn text(&self) -> String {
        let mut text = format!("{TITLE}\n");
        let all = self.backups.iter().map(|pair| ("backup", pair));
        for (verb, (from, to)) in all.chain(self.new.iter().map(|pair| ("install", pair))) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{verb} {from} {to}");
        }
        let checksum = crc32c(text.as_bytes());
        let _ = writeln!(text, "checksum {checksum:08x}");
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut renames = Self { backups: Vec::new(), new: Vec::new() };
        let mut lines = text.lines().filter(|line| *line != TITLE);
        lines.next_back()?.strip_prefix("checksum ")?;
        for line in lines {
            let mut words = line.split(' ').map(str::to_owned);
            let (verb, from, to) = (words.next()?, words.next()?, words.next()?);
            match verb.as_str() {
                "backup" => renames.backups.push((from, to)),
                "install" => renames.new.push((from, to)),
                _ => return None,
            }
        }
        // Everything is as it was written if it would be written so again.
        (renames.text() == text).then_some(renames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_renames_comes_back_as_it_was_written_or_not_at_all() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let renames = Renames { backups: vec![pair("a", "a.old")], new: vec![pair("a.new", "a")] };
        let text = renames.text();
        assert_eq!(Renames::parse(&text), Some(renames));
        for at in 0..text.len() {
            assert_eq!(Renames::parse(&text[..at]), None);
            let mut flipped = text.clone().into_bytes();
            flipped[at] ^= 1;
            assert_eq!(Renames::parse(std::str::from_utf8(&flipped).unwrap()), None);
        }
    }
}
