//! `faultlab check`: judges a kept history again.

use std::{
    fs::File,
    io::{self, BufReader, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    checker::{Violation, judge},
    history::{History, Record},
};

/// The file of a kept run that tells what clients did and saw, one event a line.
pub const HISTORY_FILE: &str = "history.jsonl";

/// The file of a kept run that has the whole log, as it was in the end.
pub const LOG_FILE: &str = "log.json";

/// Which history.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory that a failed run left, with history.jsonl and log.json
    dir: PathBuf,
}

/// Prints each broken promise. 0: none, 1: some, 2: the files cannot be read, or the run shows nothing.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let violations = match read(&args.dir) {
        Ok((history, log)) => judge(&history, &log),
        Err(error) => {
            // Without anybody to read it, the code still says it.
            let _ = writeln!(io::stderr(), "{}: {error}", args.dir.display());
            return 2.into();
        }
    };
    for violation in &violations {
        let _ = writeln!(io::stdout(), "{violation:?}");
    }
    let vacuous = |violation: &Violation| matches!(violation, Violation::Vacuous { .. });
    match violations.iter().all(vacuous) {
        _ if violations.is_empty() => 0.into(),
        true => 2.into(),
        false => 1.into(),
    }
}

fn read(dir: &Path) -> io::Result<(History, Vec<Record>)> {
    let history = BufReader::new(File::open(dir.join(HISTORY_FILE))?);
    let log = BufReader::new(File::open(dir.join(LOG_FILE))?);
    Ok((History::read_json_lines(history)?, serde_json::from_reader(log)?))
}
