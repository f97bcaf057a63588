//! Where a private cluster keeps its data, and what is kept of a run that failed.

use std::{
    fs::{DirBuilder, File},
    io::{self, BufWriter, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use faultlab::{
    history::{Head, History, Record},
    nemesis::Done,
    report::Report,
};
use oncelog::process::{exit::Exit, settings};
use tempfile::TempDir;

/// The faults of a run, a line each.
const FAULTS_FILE: &str = "faults.txt";

/// `f_type` of file systems that have no disk: tmpfs and ramfs.
const MEMORY_FILE_SYSTEMS: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// Where a run has its data, logs and history.
pub(super) enum RunDir {
    /// Removed in the end, unless it holds evidence.
    Temporary(TempDir),
    /// Asked for by a flag. It stays.
    Asked(PathBuf),
}

impl RunDir {
    /// Creates `keep`, which must not exist: the files of two runs must not be mixed. Without it, a new
    /// directory in `parent`, or among the temporary files.
    ///
    /// # Errors
    /// [`Exit::Disk`]: there is no such directory.
    pub(super) fn new(parent: Option<PathBuf>, keep: Option<PathBuf>) -> Result<Self, Exit> {
        let said = |dir: &Path, error: io::Error| {
            let dir = dir.display();
            Exit::Disk.because(format_args!("no directory for the run: {dir}: {error}"))
        };
        if let Some(dir) = keep {
            // As a temporary one is: for its owner alone.
            let created = DirBuilder::new().mode(0o700).create(&dir);
            created.map_err(|error| said(&dir, error))?;
            return Ok(Self::Asked(dir));
        }
        // An empty variable would name the working directory.
        let temporary = || settings::variable("TMPDIR").map_or_else(|| "/tmp".into(), Into::into);
        let parent = parent.unwrap_or_else(temporary);
        let dir = tempfile::Builder::new().prefix("oncelog-prove-").tempdir_in(&parent);
        dir.map(Self::Temporary).map_err(|error| said(&parent, error))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Asked(dir) => dir,
        }
    }

    pub(super) fn keep(self) -> PathBuf {
        match self {
            Self::Temporary(dir) => dir.keep(),
            Self::Asked(dir) => dir,
        }
    }
}

/// The result of a run.
pub(super) struct Outcome {
    pub(super) report: Report,
    pub(super) seed: u64,
    pub(super) history: History,
    pub(super) log: Vec<Record>,
    pub(super) faults: Vec<Done>,
    /// Whether the log has records of others, too.
    pub(super) part: bool,
}

impl Outcome {
    /// Writes history, log and faults into `dir`.
    pub(super) fn keep(&self, dir: &Path) -> io::Result<()> {
        let program = concat!("oncelog ", env!("CARGO_PKG_VERSION"));
        let head = Head { part: self.part, ..Head::new(self.seed, program) };
        self.history.keep(&head, &self.log, dir)?;
        let mut file = BufWriter::new(File::create(dir.join(FAULTS_FILE))?);
        for done in &self.faults {
            writeln!(file, "{done}")?;
        }
        file.flush()
    }
}

/// Whether what is synced in `dir` is on no disk.
pub(super) fn is_in_memory(dir: &Path) -> bool {
    // Then it is not known.
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
