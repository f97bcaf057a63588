//! Wires the logging service: settings, log lines, socket, stop signal.

use std::process::ExitCode;

use logging_service::{serve, settings::Args};
use oncelog::{
    exit::{Exit, report},
    server::{announce, listen, stop_on_signal},
    settings::parse_args,
    telemetry,
};

#[tokio::main]
async fn main() -> ExitCode {
    telemetry::init();
    run().await.unwrap_or_else(|exit| exit).into()
}

async fn run() -> Result<Exit, Exit> {
    let settings = parse_args::<Args>()?.settings().map_err(|wrong| report(wrong, Exit::Usage))?;
    let stop = stop_on_signal().map_err(|error| report(error, Exit::Failure))?;
    let listener =
        listen(settings.listen).await.map_err(|error| report(error, Exit::Unavailable))?;
    serve(listener, settings, stop, announce).await.map_err(|error| {
        let exit = error.exit();
        report(error, exit)
    })?;
    Ok(Exit::Success)
}
