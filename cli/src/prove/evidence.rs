//! Where a private trio keeps its data, and what is kept of a run that failed.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use faultlab::{
    experiments::check::{HISTORY_FILE, LOG_FILE},
    history::{History, Record},
    nemesis::Done,
    report::Report,
};
use tempfile::TempDir;

/// The faults of a run, a line each.
const FAULTS_FILE: &str = "faults.txt";

/// `f_type` of file systems that have no disk: tmpfs and ramfs.
const MEMORY_FILE_SYSTEMS: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// What a run came to.
pub(super) struct Outcome {
    pub(super) report: Report,
    pub(super) history: History,
    pub(super) log: Vec<Record>,
    pub(super) faults: Vec<Done>,
}

impl Outcome {
    /// Keeps what was seen, beside the data if `dir` has some. Returns where.
    pub(super) fn keep(&self, dir: Option<TempDir>) -> io::Result<PathBuf> {
        let dir = match dir {
            Some(dir) => dir,
            None => tempfile::Builder::new().prefix("oncelog-prove-").tempdir()?,
        };
        let dir = dir.keep();
        let mut file = BufWriter::new(File::create(dir.join(HISTORY_FILE))?);
        self.history.write_json_lines(&mut file)?;
        file.flush()?;
        let mut file = BufWriter::new(File::create(dir.join(LOG_FILE))?);
        serde_json::to_writer(&mut file, &self.log)?;
        file.flush()?;
        let mut file = BufWriter::new(File::create(dir.join(FAULTS_FILE))?);
        for done in &self.faults {
            writeln!(file, "{done}")?;
        }
        file.flush()?;
        Ok(dir)
    }
}

/// Whether what is synced in `dir` is on no disk.
pub(super) fn is_in_memory(dir: &Path) -> bool {
    // Nobody knows, then.
    let Ok(found) = rustix::fs::statfs(dir) else { return false };
    MEMORY_FILE_SYSTEMS.iter().any(|magic| i128::from(found.f_type) == i128::from(*magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_a_disk_is_recognized() {
        assert!(!is_in_memory(Path::new(env!("CARGO_MANIFEST_DIR"))));
        // Linux has it everywhere but in the smallest containers.
        let shared_memory = Path::new("/dev/shm");
        assert_eq!(is_in_memory(shared_memory), shared_memory.is_dir());
    }
}
