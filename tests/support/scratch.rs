//! A directory for one test: removed when the test passes, kept and named when it fails.

use std::{
    path::{Path, PathBuf},
    thread,
};

use tempfile::TempDir;

/// See the module. It is made under Cargo's target directory, so it is on a real disk.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// A new, empty directory; `name` is for people.
    pub(crate) fn new(name: &str) -> Self {
        let prefix = format!("{name}-");
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        Self(dir.expect("a scratch directory"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.disable_cleanup(true);
            eprintln!("kept for you: {}", self.path().display());
        }
    }
}
