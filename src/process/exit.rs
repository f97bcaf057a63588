//! Exit codes, after `sysexits.h`, so that an operator can tell what kind of trouble it was.

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked to.
    Success = 0,
    /// It could not, for a reason that has no code of its own.
    Failure = 1,
    /// It did, and found nothing wrong, but nothing was put to the test.
    Vacuous = 2,
    /// The settings or the command line are wrong (`EX_USAGE`).
    Usage = 64,
    /// Stored data is damaged; nothing was changed (`EX_DATAERR`).
    Damaged = 65,
    /// There is nothing where it was told to look (`EX_NOINPUT`).
    NoInput = 66,
    /// A port is taken or a service cannot be reached (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// The disk failed or the data directory cannot be used (`EX_IOERR`).
    Disk = 74,
    /// Another process holds the data directory (`EX_TEMPFAIL`).
    Locked = 75,
    /// A signal ended it before it was done: `128 + SIGINT`, as a shell reports it.
    Interrupted = 130,
}

impl Exit {
    /// Tells standard error why the process is about to end, whatever the log filter is.
    #[must_use]
    pub fn because(self, why: impl Display) -> Self {
        // Where standard error is closed, the code still says what kind of trouble it was.
        let _ = writeln!(io::stderr(), "{why}");
        self
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
