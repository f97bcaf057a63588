//! `oncelog serve`: one service as a process of its own, for `oncelog prove`, which kills it.
//!
//! It takes the flags of the service and runs what the service runs. It ends at the end of its standard
//! input: the process that started it holds the other end, and must not leave it behind.

use std::{io, process, sync::Arc, thread};

use facade_service::{Facade, Options, Upstreams, settings as facade};
use logging_service::settings as logging;
use messages_service::settings as messages;
use oncelog::{exit::Exit, message::RandomIds, server, settings::WrongSettings, telemetry};
use tokio::net::TcpListener;

use crate::command::stop_on_signal;

/// Which service.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The facade
    Facade(facade::Args),
    /// The logging service
    Logging(logging::Args),
    /// The messages service
    Messages(messages::Args),
}

/// Runs the service until SIGTERM or the end of standard input.
///
/// # Errors
/// The code to exit with.
pub async fn run(command: Command) -> Result<(), Exit> {
    let _last_lines = telemetry::init();
    server::raise_open_files();
    end_with_standard_input()?;
    match command {
        Command::Facade(args) => serve_facade(args).await,
        Command::Logging(args) => serve_logging(args).await,
        Command::Messages(args) => serve_messages(args).await,
    }
}

fn end_with_standard_input() -> Result<(), Exit> {
    let watch = || {
        // Nothing is sent. Its end and any error end the service.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(Exit::Failure as i32);
    };
    let watching = thread::Builder::new().name("standard-input".to_owned()).spawn(watch);
    watching.map(|_| ()).map_err(|error| Exit::Failure.because(error))
}

async fn serve_facade(args: facade::Args) -> Result<(), Exit> {
    let settings = facade::Settings::try_from(args).map_err(wrong)?;
    let listener = listen(settings.listen).await?;
    let addr = listener.local_addr().map_err(|error| Exit::Unavailable.because(error))?;
    let stop = stop_on_signal()?;
    let facade = Facade::new(Upstreams::connect(&settings), Options::new(Arc::new(RandomIds)));
    server::announce(addr);
    facade_service::serve(listener, facade, stop)
        .await
        .map_err(|error| Exit::Failure.because(error))
}

async fn serve_logging(args: logging::Args) -> Result<(), Exit> {
    let settings = logging::Settings::try_from(args).map_err(wrong)?;
    let listener = listen(settings.listen).await?;
    let stop = stop_on_signal()?;
    logging_service::serve(listener, settings, stop, server::announce)
        .await
        .map_err(|error| error.exit().because(error))
}

async fn serve_messages(args: messages::Args) -> Result<(), Exit> {
    let settings = messages::Settings::try_from(args).map_err(wrong)?;
    let listener = listen(settings.listen).await?;
    let addr = listener.local_addr().map_err(|error| Exit::Unavailable.because(error))?;
    let stop = stop_on_signal()?;
    server::announce(addr);
    messages_service::serve(server::incoming(listener), stop)
        .await
        .map_err(|error| error.exit().because(error))
}

fn wrong(wrong: WrongSettings) -> Exit {
    Exit::Usage.because(wrong)
}

async fn listen(addr: std::net::SocketAddr) -> Result<TcpListener, Exit> {
    server::listen(addr).await.map_err(|error| Exit::Unavailable.because(error))
}
