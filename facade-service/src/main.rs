//! Runs the facade: settings, port, server, stop.

use std::{process::ExitCode, sync::Arc};

use facade_service::{
    Facade, Options, Upstreams,
    settings::{Args, Settings},
};
use oncelog::{exit::Exit, message::RandomIds, server, settings, telemetry};

fn main() -> ExitCode {
    let _last_lines = telemetry::init();
    server::run(run())
}

async fn run() -> Result<(), Exit> {
    let args: Args = settings::parse_args()?;
    let settings = Settings::try_from(args).map_err(|wrong| Exit::Usage.because(wrong))?;
    server::raise_open_files();
    let stop = server::stop_on_signal().map_err(|error| {
        Exit::Failure.because(format_args!("cannot watch for the stop signal: {error}"))
    })?;
    let listener =
        server::listen(settings.listen).await.map_err(|error| Exit::Unavailable.because(error))?;
    let addr = listener.local_addr().map_err(|error| Exit::Unavailable.because(error))?;
    let facade = Facade::new(Upstreams::connect(&settings), Options::new(Arc::new(RandomIds)));
    server::announce(addr);
    facade_service::serve(listener, facade, stop)
        .await
        .map_err(|error| Exit::Failure.because(error))
}
