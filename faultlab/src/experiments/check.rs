//! `faultlab check`: checks a kept history again.

use std::{path::PathBuf, process::ExitCode};

use super::{say, show};

pub use crate::history::{HISTORY_FILE, LOG_FILE};
use crate::{
    checker::{Account, Verdict, Violation, verdict_of_kept},
    history::Kept,
};

/// Violations that are shown one by one.
const SHOWN_MAX: usize = 100;

/// Which history.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory that a run kept, with history.jsonl and log.jsonl
    dir: PathBuf,
}

/// Prints the account, and each broken promise with its invariant. 0: none, 1: some, 2: the files cannot
/// be read, or the run shows nothing.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let verdict = match verdict_of_kept(&Kept::new(&args.dir)) {
        Ok(verdict) => verdict,
        Err(error) => {
            say(&format!("{}: {error}", args.dir.display()));
            return 2.into();
        }
    };
    show(&text(&verdict));
    match verdict.violations.iter().all(Violation::is_vacuous) {
        _ if verdict.violations.is_empty() => 0.into(),
        true => 2.into(),
        false => 1.into(),
    }
}

fn text(verdict: &Verdict) -> String {
    let mut lines: Vec<String> =
        rows(&verdict.account).map(|(name, value)| format!("{name:<28}{value}")).to_vec();
    let shown = verdict.violations.iter().take(SHOWN_MAX);
    lines.extend(shown.map(|violation| format!("{violation}")));
    let hidden = verdict.violations.len().saturating_sub(SHOWN_MAX);
    if hidden > 0 {
        lines.push(format!("and {hidden} more"));
    }
    let broken: Vec<_> = verdict.broken().into_iter().map(|broken| broken.id()).collect();
    lines.push(match (broken.is_empty(), verdict.vacuous()) {
        (false, _) => format!("broken: {}", broken.join(" ")),
        (true, true) => "nothing broken, but nothing tested".to_owned(),
        (true, false) => "nothing broken".to_owned(),
    });
    lines.join("\n")
}

const fn rows(account: &Account) -> [(&'static str, usize); 13] {
    [
        ("attempts", account.attempts),
        ("messages", account.messages),
        ("acknowledged", account.acknowledged),
        ("repeats absorbed", account.absorbed),
        ("surely not stored", account.not_stored),
        ("unknown", account.unknown),
        ("conflicts", account.conflicts),
        ("refused", account.refused),
        ("messages unknown at first", account.uncertain),
        ("  resolved by a repeat", account.resolved),
        ("  found stored", account.unknown_stored),
        ("  found absent", account.unknown_absent),
        ("stored", account.stored),
    ]
}
