//! Builds the services once and finds them.
//!
//! Cargo tells a program where the others of its own package are, but not those of other packages. So
//! whoever runs services asks the same Cargo to build them beside itself, which takes no time if they
//! are fresh.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::trio::Programs;

/// The packages with a program that an experiment may start.
const PACKAGES: [&str; 4] =
    ["facade-service", "logging-service", "messages-service", "oncelog-cli"];

/// The directory that all programs of the workspace are in, built with the profile of this program
/// or test.
///
/// # Errors
/// They do not build, or this program does not lie where Cargo puts it.
pub fn directory() -> io::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| build().map_err(|error| error.to_string()))
        .clone()
        .map_err(io::Error::other)
}

impl Programs {
    /// The built programs, without any flags.
    ///
    /// # Errors
    /// As [`directory`].
    pub fn built() -> io::Result<Self> {
        let directory = directory()?;
        let program = |name: &str| vec![directory.join(name).into_os_string()];
        Ok(Self {
            facade: program("facade-service"),
            logging: program("logging-service"),
            messages: program("messages-service"),
        })
    }
}

/// Something that this machine lacks: a program, or the right to do something.
#[derive(Debug, thiserror::Error)]
#[error("NOT RUN: it needs {0}")]
pub struct ToolMissing(pub String);

/// The program `name` of the operating system.
///
/// # Errors
/// [`ToolMissing`].
pub fn tool(name: &str) -> Result<PathBuf, ToolMissing> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Those for administrators are not in everybody's path.
    let directories = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let mut found = directories.map(|directory| directory.join(name));
    found.find(|path| path.is_file()).ok_or_else(|| ToolMissing(format!("`{name}`")))
}

fn build() -> io::Result<PathBuf> {
    let this = env::current_exe()?;
    // <target>/<profile>/<program>, or <target>/<profile>/deps/<test>
    let strange = || io::Error::other(format!("{} is in no target directory", this.display()));
    let mut directory = this.parent().ok_or_else(strange)?;
    if directory.ends_with("deps") {
        directory = directory.parent().ok_or_else(strange)?;
    }
    let target = directory.parent().ok_or_else(strange)?;
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => return Err(strange()),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or_else(strange)?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--bins", "--profile", profile, "--target-dir"]).arg(target);
    for package in PACKAGES {
        cargo.args(["-p", package]);
    }
    let status = cargo.current_dir(root).status()?;
    if status.success() {
        Ok(directory.to_path_buf())
    } else {
        Err(io::Error::other(format!("the services do not build: {status}")))
    }
}
