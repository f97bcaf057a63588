//! `oncelog serve`: one service as a process of its own, for `oncelog prove`, which kills it.
//!
//! It takes the flags of the service and runs what the service runs. It ends at the end of its standard
//! input: the process that started it holds the other end, and must not leave it behind.

use std::{io, thread};

use oncelog::{
    net,
    process::{exit::Exit, telemetry},
};

/// Which service.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The facade
    Facade(facade_service::settings::Args),
    /// The logging service
    Logging(logging_service::settings::Args),
    /// The messages service
    Messages(messages_service::settings::Args),
}

/// Runs the service until a stop signal or the end of standard input.
///
/// # Errors
/// The code to exit with.
pub async fn run(command: Command) -> Result<(), Exit> {
    let _last_lines = telemetry::init();
    net::raise_open_files();
    end_with_standard_input()?;
    match command {
        Command::Facade(args) => facade_service::run(args).await,
        Command::Logging(args) => logging_service::run(args).await,
        Command::Messages(args) => messages_service::run(args).await,
    }
}

fn end_with_standard_input() -> Result<(), Exit> {
    let watch = || {
        // Nothing is sent. Its end and any error end the service.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(Exit::Failure as i32);
    };
    let watching = thread::Builder::new().name("standard-input".to_owned()).spawn(watch);
    watching.map(|_| ()).map_err(|error| Exit::Failure.because(error))
}
