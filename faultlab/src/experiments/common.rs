//! What several experiments need: a reason not to run, a place for files, the way to end.

use std::{
    fmt, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    cluster::ClusterError, open_loop::Unreadable, processes::ProcessError, programs::ToolError,
};

/// Why an experiment found nothing.
#[derive(Debug, thiserror::Error)]
pub enum NotRun {
    /// This machine lacks something.
    #[error("NOT RUN: it needs {0}")]
    Missing(String),
    /// The services do not start without any harm.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// One service does not.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A program, a directory, a file or a connection is not there or failed.
    #[error(transparent)]
    System(#[from] io::Error),
    /// There is no whole log to check.
    #[error(transparent)]
    Log(#[from] Unreadable),
}

impl From<ToolError> for NotRun {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Missing(what) => Self::Missing(what),
            ToolError::System(error) => Self::System(error),
        }
    }
}

/// A directory for one experiment: gone with it, or kept if something is to be seen there.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// A new, empty directory; `name` is for people.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let prefix = format!("faultlab-{name}-");
        Ok(Self(tempfile::Builder::new().prefix(&prefix).tempdir()?))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Stays when this is gone. Returns where it is.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.0.disable_cleanup(true);
        self.0.path().to_path_buf()
    }
}

/// Tells how far an experiment is.
pub(crate) fn say(what: &str) {
    // If standard error is closed, the exit code still says how it ended.
    let _ = writeln!(io::stderr(), "{what}");
}

/// Shows a result.
pub(crate) fn show(result: &impl fmt::Display) {
    // As above.
    let _ = writeln!(io::stdout(), "{result}");
}
