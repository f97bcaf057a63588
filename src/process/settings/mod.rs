//! Settings from flags and environment variables: an empty variable is an unset one, and all that is wrong
//! is reported at once.
//!
//! - [`Setting`]: the value of a flag or variable, as it was given
//! - [`Checks`]: what the values mean, and what is wrong with them
//! - [`parse_args`], [`check`]: from the command line and the environment to checked settings
//!
//! Programs declare their flags as [`Setting`] with `clap` and parse the values here, because `clap` stops at
//! the first value it cannot parse.

mod checks;
mod setting;

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
};

use clap::{Command, Parser, builder::Resettable, error::ErrorKind};

pub use self::{
    checks::{Checks, TIMEOUT_MAX, TIMEOUTS, WrongSettings},
    setting::{Setting, SettingParser, Switch},
};
use super::{exit::Exit, runtime};

/// The variable `name` of the environment, unless it is unset or empty.
pub fn variable(name: impl AsRef<OsStr>) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Reads the command line and the environment.
///
/// # Errors
/// Prints help, version or what is wrong, and returns the code to exit with.
pub fn parse_args<Args: Parser>() -> Result<Args, Exit> {
    parse(env::args_os()).map_err(|error| {
        let printed = error.print();
        #[allow(clippy::wildcard_enum_match_arm)] // Foreign, and every other kind is a usage error.
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match printed {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Exit::Disk.because(format_args!("cannot write to standard output: {error}"))
                }
                Ok(()) | Err(_) => Exit::Success,
            },
            // If standard error is closed, the code still says it.
            _ => Exit::Usage,
        }
    })
}

/// Reads `args`, which begin with the name of the program, and the environment.
///
/// # Errors
/// Help, version, or an argument that is not understood. Values are not looked at.
pub fn parse<Args: Parser>(
    args: impl IntoIterator<Item: Into<OsString>>,
) -> Result<Args, clap::Error> {
    let args = join_negative_values(args.into_iter().map(Into::into));
    let command = without_empty_variables(Args::command());
    let parsed = command.try_get_matches_from(&args);
    match parsed.and_then(|mut matches| Args::from_arg_matches_mut(&mut matches)) {
        // Help names all variables, the empty ones too.
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            Err(Args::command().try_get_matches_from(&args).err().unwrap_or(error))
        }
        parsed => parsed,
    }
}

/// What `args` mean.
///
/// # Errors
/// Tells standard error all that is wrong, with the flags and with the variables that hold for every
/// program, and returns the code to exit with.
pub fn check<Args, Settings>(args: Args) -> Result<Settings, Exit>
where
    Settings: TryFrom<Args, Error = WrongSettings>,
{
    let checked = Settings::try_from(args);
    let Err(wrong_threads) = runtime::wanted_threads() else {
        return checked.map_err(|wrong| Exit::Usage.because(wrong));
    };
    let mut problems = checked.err().map_or_else(Vec::new, |wrong| wrong.0);
    problems.extend(wrong_threads.0);
    Err(Exit::Usage.because(WrongSettings(problems)))
}

/// `command` as if variables that are empty were not set.
fn without_empty_variables(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_env() {
            Some(name) if variable(name).is_none() => arg.env(Resettable::Reset),
            _ => arg,
        })
        .mut_subcommands(without_empty_variables)
}

/// Joins a flag with a value that begins with a minus and a digit, which `clap` would take for a flag: no
/// flag is named after a digit.
fn join_negative_values(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut only_values = false;
    for arg in args {
        let bytes = arg.as_encoded_bytes();
        let is_negative =
            bytes.first() == Some(&b'-') && bytes.get(1).is_some_and(u8::is_ascii_digit);
        match joined.last_mut() {
            Some(flag) if is_negative && !only_values && takes_next(flag) => {
                flag.push("=");
                flag.push(arg);
            }
            _ => {
                only_values |= arg == "--";
                joined.push(arg);
            }
        }
    }
    joined
}

/// Whether `arg` is a flag, `--name` or `-n`, without a value.
fn takes_next(arg: &OsStr) -> bool {
    match arg.as_encoded_bytes() {
        [b'-', b'-', name @ ..] => !name.is_empty() && !name.contains(&b'='),
        [b'-', name] => name.is_ascii_alphabetic(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_value_belongs_to_the_flag_before_it() {
        let join =
            |args: &[&str]| join_negative_values(args.iter().map(Into::into)).join(" ".as_ref());
        assert_eq!(join(&["p", "--timeout", "-1s", "--size", "-5"]), "p --timeout=-1s --size=-5");
        assert_eq!(join(&["p", "-n", "-1"]), "p -n=-1");
        for other in ["p --a=1 -2", "p -- -1 -2", "p --a -b", "p --a -", "p -1"] {
            assert_eq!(join(&other.split(' ').collect::<Vec<_>>()), other);
        }
    }
}
