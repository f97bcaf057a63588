//! Builds the services once and finds them.
//!
//! Cargo tells a program where the others of its own package are, but not those of other packages. So
//! an experiment or test asks the same Cargo to build them beside itself, which takes no time if they
//! are fresh.

use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{cluster::Programs, processes::Group};

/// A program of the workspace that an experiment or test may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The facade.
    Facade,
    /// The logging service.
    Logging,
    /// The messages service.
    Messages,
    /// The command line.
    Cli,
}

impl Program {
    const ALL: [Self; 4] = [Self::Facade, Self::Logging, Self::Messages, Self::Cli];

    /// The package that holds it, as in `cargo run -p`.
    #[must_use]
    pub const fn package(self) -> &'static str {
        match self {
            Self::Facade => "facade-service",
            Self::Logging => "logging-service",
            Self::Messages => "messages-service",
            Self::Cli => "oncelog-cli",
        }
    }

    /// The name of the executable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cli => "oncelog",
            Self::Facade | Self::Logging | Self::Messages => self.package(),
        }
    }

    /// The program in `cargo run -p <package>`.
    #[must_use]
    pub fn of_package(package: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.package() == package)
    }

    /// The executable, built.
    ///
    /// # Errors
    /// As [`directory`].
    pub fn path(self) -> io::Result<PathBuf> {
        Ok(directory()?.join(self.name()))
    }
}

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
        let command = |program: Program| Ok::<_, io::Error>(vec![program.path()?.into_os_string()]);
        Ok(Self {
            facade: command(Program::Facade)?,
            logging: command(Program::Logging)?,
            messages: command(Program::Messages)?,
            group: Group::Shared,
        })
    }
}

/// Why a program of the operating system does not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// This machine lacks something.
    #[error("it needs {0}")]
    Missing(String),
    /// It could not be started.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// The program `name` of the operating system.
///
/// # Errors
/// [`ToolError::Missing`].
pub fn tool(name: &str) -> Result<PathBuf, ToolError> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Those for administrators are not in the path of every user.
    let directories = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let mut found = directories.map(|directory| directory.join(name));
    found.find(|path| path.is_file()).ok_or_else(|| ToolError::Missing(format!("`{name}`")))
}

/// `program` as it is called by `wrapper`, a program of the operating system that starts or becomes it.
///
/// # Errors
/// [`ToolError::Missing`].
pub(crate) fn under(
    wrapper: &str,
    flags: impl IntoIterator<Item: Into<OsString>>,
    program: &[OsString],
) -> Result<Vec<OsString>, ToolError> {
    let mut command: Vec<OsString> = vec![tool(wrapper)?.into()];
    command.extend(flags.into_iter().map(Into::into));
    command.extend_from_slice(program);
    Ok(command)
}

/// `program` under strace with `flags`. The tracer is the grandchild, so that signals and exit codes are
/// those of the service.
///
/// # Errors
/// [`ToolError::Missing`].
pub(crate) fn traced(
    flags: impl IntoIterator<Item: Into<OsString>>,
    program: &[OsString],
) -> Result<Vec<OsString>, ToolError> {
    let follow = ["-D", "-f", "-qq"].map(OsString::from);
    under("strace", follow.into_iter().chain(flags.into_iter().map(Into::into)), program)
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
    for program in Program::ALL {
        cargo.args(["-p", program.package()]);
    }
    let status = cargo.current_dir(root).status()?;
    if status.success() {
        Ok(directory.to_path_buf())
    } else {
        Err(io::Error::other(format!("the services do not build: {status}")))
    }
}
