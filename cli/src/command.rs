//! The commands.

use clap::{Parser, Subcommand};
use oncelog::{exit::Exit, server};
use tokio_util::sync::CancellationToken;

use crate::{bench, journal, prove, read, send, serve, up};

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
    Send(send::Args),
    /// Print the stored messages, in order
    Read(read::Args),
    /// Check or repair the journal of a stopped logging-service
    #[command(subcommand)]
    Journal(journal::Command),
    /// Prove that every message is stored once: harm three private services, or audit a deployment
    Prove(prove::Args),
    /// Measure how fast a facade stores messages; what is posted stays in its log
    Bench(bench::Args),
    /// One service as a process of its own
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
            Command::Send(args) => send::run(args).await,
            Command::Read(args) => read::run(args).await,
            Command::Journal(command) => journal::run(command),
            Command::Prove(args) => Box::pin(prove::run(args)).await,
            Command::Bench(args) => Box::pin(bench::run(args)).await,
            Command::Serve(command) => Box::pin(serve::run(command)).await,
        }
    }
}

/// A token that SIGTERM and Ctrl-C cancel.
///
/// # Errors
/// [`Exit::Failure`]: the signals cannot be watched for.
pub(crate) fn stop_on_signal() -> Result<CancellationToken, Exit> {
    server::stop_on_signal().map_err(|error| {
        Exit::Failure.because(format_args!("cannot watch for the stop signal: {error}"))
    })
}
