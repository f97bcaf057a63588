//! Experiments: each does one kind of harm to the real services, and compares the results with goals.
//!
//! - [`Goals`]: what should be reached, and what was found
//! - [`check`]: no harm: checks a kept history again
//! - [`scale`]: no harm: checks a long history, and measures the cost
//! - [`attack`]: clients that abuse the ports of the services
//! - [`overload`]: more messages than can be stored
//! - [`clock`]: a wall clock that jumps
//! - [`limits`]: too little of what the operating system gives a process
//! - [`power_loss`]: what is on the disk when the power is cut, and when a real sync fails
//! - [`sweep`]: a crash, a failure or a pause at each system call of the logging service
//! - [`storm`]: a logging service that is away, and what arrives there meanwhile

pub mod attack;
pub mod check;
pub mod clock;
mod common;
pub mod limits;
pub mod overload;
pub mod power_loss;
pub mod scale;
pub mod storm;
pub mod sweep;

use std::{fmt, process::ExitCode};

pub use self::common::NotRun;
pub(crate) use self::common::{Scratch, say, show};
use crate::open_loop::Audit;

/// The experiments of `faultlab`.
#[derive(Debug, clap::Subcommand)]
pub enum Experiment {
    /// Check the history that a run kept
    Check(check::Args),
    /// Check a long history, and measure the cost
    Scale(scale::Args),
    /// Harm the logging service at each of its system calls, one run each
    Sweep(sweep::Args),
    /// Let the wall clock of the services jump by hours and by years
    Clock(clock::Args),
    /// Run the logging service with too few open files, too small files, too little memory
    Limits,
    /// Cut the power of the disk, on copies of it, and let a real sync fail (root only)
    PowerLoss(power_loss::Args),
    /// Send five times as many messages as can be stored, and see what is accepted
    Overload(overload::Args),
    /// Abuse the ports of the services in many ways, beside a client that behaves
    Attack(attack::Args),
    /// Take the logging service away from many clients, and count what arrives there
    Storm(storm::Args),
}

impl Experiment {
    /// Runs it. The exit code says whether all goals were reached (0), one was missed (1), or it could
    /// not run here (2).
    pub async fn run(self) -> ExitCode {
        let goals = match self {
            Self::Check(args) => return check::run(&args),
            Self::Scale(args) => scale::run(&args),
            Self::Sweep(args) => sweep::run(&args).await,
            Self::Clock(args) => clock::run(&args).await,
            Self::Limits => limits::run().await,
            Self::PowerLoss(args) => power_loss::run(&args).await,
            Self::Overload(args) => overload::run(&args).await,
            Self::Attack(args) => attack::run(&args).await,
            Self::Storm(args) => storm::run(&args).await,
        };
        match goals {
            Ok(goals) => {
                show(&goals);
                u8::from(!goals.reached()).into()
            }
            Err(error) => {
                say(&error.to_string());
                2.into()
            }
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

    /// Notes that no message should be lost, stored against a refusal, doubled or foreign.
    fn note_audit(&mut self, audit: &Audit) {
        for (figure, found) in [
            ("acknowledged and lost", audit.lost),
            ("refused and stored", audit.phantom),
            ("stored twice, or never sent", audit.doubled + audit.foreign),
        ] {
            self.note(figure, "none", found, found == 0);
        }
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
