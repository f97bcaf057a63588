//! The programs under test.

use std::path::PathBuf;

use faultlab::programs::directory;

/// A program of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Facade,
    Logging,
    Messages,
    Cli,
}

impl Program {
    const ALL: [Self; 4] = [Self::Facade, Self::Logging, Self::Messages, Self::Cli];

    /// The package that holds it, as in `cargo run -p`.
    pub(crate) const fn package(self) -> &'static str {
        match self {
            Self::Facade => "facade-service",
            Self::Logging => "logging-service",
            Self::Messages => "messages-service",
            Self::Cli => "oncelog-cli",
        }
    }

    /// The name of the executable.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cli => "oncelog",
            Self::Facade | Self::Logging | Self::Messages => self.package(),
        }
    }

    /// The program in `cargo run -p <package>`.
    pub(crate) fn of_package(package: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.package() == package)
    }

    /// The executable, built.
    pub(crate) fn path(self) -> PathBuf {
        directory().expect("the programs, built").join(self.name())
    }
}
