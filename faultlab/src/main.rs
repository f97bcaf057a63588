//! Runs the experiments that take longer than a test, and says whether their goals were reached, and
//! the load of the benchmarks.
//!
//! Exit codes: 0 all goals were reached, 1 one was missed or the load failed, 2 it could not run here,
//! 64 wrong usage.

use std::{io, process::ExitCode};

use clap::Parser;
use faultlab::{bulk::Bulk, experiments::Experiment};
use tokio::runtime::Builder;

/// Harm or load the built services on purpose, and measure what comes of it.
#[derive(Debug, Parser)]
enum Cli {
    #[command(flatten)]
    Experiment(Experiment),
    /// Load the services as the benchmarks do, and print what came of it as JSON
    #[command(subcommand)]
    Load(Bulk),
}

fn main() -> io::Result<ExitCode> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let usage = if error.use_stderr() { 64 } else { 0 };
            // Without a reader of the output, the code still says it.
            let _ = error.print();
            return Ok(usage.into());
        }
    };
    let mut runtime = match cli {
        Cli::Experiment(_) => Builder::new_multi_thread(),
        Cli::Load(_) => Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    Ok(match cli {
        Cli::Experiment(experiment) => runtime.block_on(experiment.run()),
        Cli::Load(load) => runtime.block_on(load.run()),
    })
}
