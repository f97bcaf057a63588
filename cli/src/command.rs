//! The commands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use oncelog::process::{self, exit::Exit, settings};

use crate::up;
#[cfg(feature = "tools")]
use crate::{bench, journal, prove, read, send, serve};

/// Oncelog stores each message exactly once.
#[derive(Debug, Parser)]
#[command(name = "oncelog", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run all three services in this terminal
    Up(up::Args),
    /// Send a message, or every line of standard input as one
    #[cfg(feature = "tools")]
    Send(send::Args),
    /// Print the stored messages, in order
    #[cfg(feature = "tools")]
    Read(read::Args),
    /// Check or repair the journal of a stopped logging-service
    #[cfg(feature = "tools")]
    #[command(subcommand)]
    Journal(journal::Command),
    /// Prove that every message is stored once: harm three private services, or audit a deployment
    #[cfg(feature = "tools")]
    Prove(Box<prove::Args>),
    /// Measure how fast a facade stores messages; what is posted stays in its log
    #[cfg(feature = "tools")]
    Bench(bench::Args),
    /// One service as a process of its own
    #[cfg(feature = "tools")]
    #[command(subcommand, hide = true)]
    Serve(serve::Command),
}

impl Cli {
    /// Runs the command, and writes what went wrong to standard error.
    ///
    /// # Errors
    /// The code to exit with.
    pub async fn run(self) -> Result<(), Exit> {
        match self.command {
            Command::Up(args) => up::run(args).await,
            #[cfg(feature = "tools")]
            Command::Send(args) => send::run(args).await,
            #[cfg(feature = "tools")]
            Command::Read(args) => read::run(args).await,
            #[cfg(feature = "tools")]
            Command::Journal(command) => journal::run(command),
            #[cfg(feature = "tools")]
            Command::Prove(args) => Box::pin(prove::run(*args)).await,
            #[cfg(feature = "tools")]
            Command::Bench(args) => Box::pin(bench::run(args)).await,
            #[cfg(feature = "tools")]
            Command::Serve(command) => Box::pin(serve::run(command)).await,
        }
    }
}

/// Runs the command that the arguments name, and returns the code to exit with. It is compiled here and not
/// in the program, which would compile most of this library once more.
pub fn main() -> ExitCode {
    process::run_command(async { settings::parse_args::<Cli>()?.run().await })
}
