//! Runs the experiments that take longer than a test, and says whether their goals were reached.
//!
//! Exit codes: 0 all goals were reached, 1 one was missed, 2 it could not run here, 64 wrong usage.

use std::process::ExitCode;

use clap::Parser;
use faultlab::experiments::Experiment;

/// Harm the built services on purpose, and measure what comes of it.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    experiment: Experiment,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let usage = if error.use_stderr() { 64 } else { 0 };
            // Without anybody to read it, the code still says it.
            let _ = error.print();
            return usage.into();
        }
    };
    cli.experiment.run().await
}
