//! Experiments: each does one kind of harm to the real services, measures, and compares what it
//! found with a goal.
//!
//! - [`Goals`]: what was to be reached, and what was
//! - [`check`]: no harm: judges a kept history again
//! - [`overload`]: more messages than can be stored
//! - [`storm`]: a logging service that is away, and what arrives there meanwhile

pub mod check;
pub mod overload;
pub mod storm;

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

use tempfile::TempDir;

/// What `faultlab` can be asked for.
#[derive(Debug, clap::Subcommand)]
pub enum Experiment {
    /// Judge the history that a failed run kept
    Check(check::Args),
    /// Send five times as many messages as can be stored, and see what is accepted
    Overload(overload::Args),
    /// Take the logging service away from many clients, and count what arrives there
    Storm(storm::Args),
}

impl Experiment {
    /// Runs it. The exit code says whether all goals were reached (0), one was missed (1), or it could
    /// not run here (2).
    pub async fn run(self) -> ExitCode {
        match self {
            Self::Check(args) => check::run(&args),
            Self::Overload(args) => overload::run(args).await,
            Self::Storm(args) => storm::run(args).await,
        }
    }
}

/// One figure and what it should have been.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Goal {
    figure: &'static str,
    goal: String,
    found: String,
    reached: bool,
}

/// The figures of an experiment. Shown as a table, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Goals(Vec<Goal>);

impl Goals {
    /// Notes that `figure` should have been `goal`, was `found`, and whether that is enough.
    pub fn note(
        &mut self,
        figure: &'static str,
        goal: impl fmt::Display,
        found: impl fmt::Display,
        reached: bool,
    ) {
        let (goal, found) = (goal.to_string(), found.to_string());
        self.0.push(Goal { figure, goal, found, reached });
    }

    /// Whether all were reached, and there was one at all.
    #[must_use]
    pub fn reached(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|goal| goal.reached)
    }
}

impl fmt::Display for Goals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Goal { figure, goal, found, reached } in &self.0 {
            let verdict = if *reached { "reached" } else { "MISSED" };
            writeln!(f, "{figure:<44} {found:>22}   goal {goal:<22} {verdict}")?;
        }
        Ok(())
    }
}

/// A directory for one run, which is gone afterwards.
fn scratch(name: &str) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(&format!("faultlab-{name}-")).tempdir()
}

/// Shows `text` to whoever runs this. Without anybody to read it, the exit code still says it.
fn print(text: &impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Shows the goals, or why there are none, and says it as an exit code.
fn verdict<E: fmt::Display>(goals: Result<Goals, E>) -> ExitCode {
    match goals {
        Ok(goals) => {
            print(&goals);
            if goals.reached() { 0.into() } else { 1.into() }
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "could not run: {error}");
            2.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missed_goal_is_a_miss_and_no_goal_is_one_too() {
        let mut goals = Goals::default();
        assert!(!goals.reached());
        goals.note("lost", 0, 0, true);
        assert!(goals.reached());
        goals.note("p99", "at most 10 ms", "11 ms", false);
        assert!(!goals.reached());
        assert!(goals.to_string().contains("MISSED"));
    }
}
