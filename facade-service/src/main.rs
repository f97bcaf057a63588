//! Wires the facade: settings, telemetry, listener, signals, exit code.

use std::{process::ExitCode, sync::Arc};

use facade_service::{
    Facade, Options, Upstreams, serve,
    settings::{Args, Settings},
};
use oncelog::{
    exit::Exit,
    message::RandomIds,
    server::{announce, listen, stop_on_signal},
    settings::parse_args,
    telemetry,
};

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|exit| exit).into()
}

async fn run() -> Result<Exit, Exit> {
    let args: Args = parse_args()?;
    telemetry::init();
    let settings = Settings::try_from(args).map_err(|wrong| fail(Exit::Usage, &wrong))?;
    let listener =
        listen(settings.listen).await.map_err(|error| fail(Exit::Unavailable, &error))?;
    let addr = listener.local_addr().map_err(|error| fail(Exit::Unavailable, &error))?;
    let stop = stop_on_signal().map_err(|error| fail(Exit::Failure, &error))?;
    let facade = Facade::new(Upstreams::connect(&settings), Options::new(Arc::new(RandomIds)));
    announce(addr);
    serve(listener, facade, stop).await.map_err(|error| fail(Exit::Failure, &error))?;
    Ok(Exit::Success)
}

#[allow(clippy::print_stderr)] // Whoever started the process reads this, whatever RUST_LOG says.
fn fail(exit: Exit, error: &dyn std::error::Error) -> Exit {
    eprintln!("facade-service: {error}");
    exit
}
