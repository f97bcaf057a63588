//! Builds the programs once and finds them.
//!
//! Cargo tells a test where the programs of its own package are, but not those of other packages.
//! So the test asks the same Cargo to build them into the same place, which takes no time if they
//! are fresh.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

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
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        BUILT.get_or_init(build).join(self.name())
    }
}

/// Builds all programs with the profile of this test and returns the directory they are in.
fn build() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    // <target>/<profile>/deps/<test>
    let directory = test.ancestors().nth(2).expect("a target directory");
    let target = directory.parent().expect("a target directory");
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => panic!("no profile in {}", test.display()),
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--bins", "--profile", profile, "--target-dir"]).arg(target);
    for program in Program::ALL {
        cargo.args(["-p", program.package()]);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = cargo.current_dir(root).status().expect("cargo runs");
    assert!(status.success(), "the programs do not build: {status}");
    directory.to_path_buf()
}
