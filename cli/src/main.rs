//! Runs the command line.

use std::process::ExitCode;

use oncelog::process::{exit::Exit, settings};
use oncelog_cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    let result = match settings::parse_args::<Cli>() {
        Ok(cli) => cli.run().await,
        Err(exit) => Err(exit),
    };
    match result {
        Ok(()) => Exit::Success.into(),
        Err(exit) => exit.into(),
    }
}
