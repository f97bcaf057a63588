//! Asks the second checker, `check.py` beside this package, and holds its verdicts against those of the
//! first.

use std::{
    collections::BTreeSet,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::Deserialize;

use super::{Account, Verdict, verdict_of_kept};
use crate::{history::Kept, resources::Usage};

/// Where the second checker is.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/check.py");

/// The verdict of the second checker on one kept run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SecondVerdict {
    /// What did not hold.
    pub broken: BTreeSet<String>,
    /// Whether the run shows nothing.
    pub vacuous: bool,
    /// What the run did.
    pub account: Account,
}

/// Its answer about one directory.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Verdict(SecondVerdict),
    Unreadable { error: String },
}

/// The second checker, which goes on to run until this is dropped.
#[derive(Debug)]
pub struct SecondChecker {
    python: Child,
    /// Closed to end it.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl SecondChecker {
    /// Starts it.
    ///
    /// # Errors
    /// There is no Python here.
    pub fn start() -> io::Result<Self> {
        let mut command = Command::new("python3");
        command.args(["-I", PROGRAM, "--stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = command.spawn()?;
        let (questions, answers) = (python.stdin.take(), python.stdout.take());
        let answers = answers.ok_or_else(|| io::Error::other("python3 has no output"))?;
        Ok(Self { python, questions, answers: BufReader::new(answers) })
    }

    /// Its verdict on the run kept in `dir`.
    ///
    /// # Errors
    /// It cannot read the run, or has ended.
    pub fn verdict(&mut self, dir: &Path) -> io::Result<SecondVerdict> {
        let mut questions = self.questions.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(questions, "{}", dir.display())?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match serde_json::from_str(&line)? {
            Answer::Verdict(verdict) => Ok(verdict),
            Answer::Unreadable { error } => Err(io::Error::other(error)),
        }
    }

    /// The id of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.python.id()
    }

    /// Its use of memory and files.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::of(self.pid()).unwrap_or_default()
    }

    /// The verdict of both on the run kept in `dir`.
    ///
    /// # Errors
    /// They do not agree on what is broken, on whether anything was tested and on all figures, or one
    /// of them cannot run.
    pub fn agreed(&mut self, dir: &Path) -> io::Result<Verdict> {
        self.verdict(dir)?.agreed(verdict_of_kept(&Kept::new(dir))?)
    }
}

impl SecondVerdict {
    /// The verdict `first`, if this one is the same.
    ///
    /// # Errors
    /// They do not agree.
    pub fn agreed(self, first: Verdict) -> io::Result<Verdict> {
        let broken = first.broken().into_iter().map(|broken| broken.id().to_owned()).collect();
        let (vacuous, account) = (first.vacuous(), first.account.clone());
        if self == (Self { broken, vacuous, account }) {
            Ok(first)
        } else {
            Err(io::Error::other(format!("the checkers do not agree: {first:?} and {self:?}")))
        }
    }
}

impl Drop for SecondChecker {
    fn drop(&mut self) {
        self.questions = None;
        // It fails only if it has ended already.
        let _ = self.python.wait();
    }
}
