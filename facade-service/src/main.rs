//! Runs the facade: settings, port, server, stop.

use std::{process::ExitCode, sync::Arc};

use facade_service::{
    Facade, Options, Upstreams,
    settings::{Args, Settings},
};
use oncelog::{
    message::RandomIds,
    net,
    process::{self, exit::Exit, settings, telemetry},
};

fn main() -> ExitCode {
    let _last_lines = telemetry::init();
    process::run(run())
}

async fn run() -> Result<(), Exit> {
    let args: Args = settings::parse_args()?;
    let settings = Settings::try_from(args).map_err(|wrong| Exit::Usage.because(wrong))?;
    net::raise_open_files();
    let stop = process::stop_on_signal().map_err(|error| {
        Exit::Failure.because(format_args!("cannot watch for the stop signal: {error}"))
    })?;
    let listener =
        net::listen(settings.listen).await.map_err(|error| Exit::Unavailable.because(error))?;
    let addr = listener.local_addr().map_err(|error| Exit::Unavailable.because(error))?;
    let facade =
        Facade::new(Upstreams::connect(&settings), Options::new(Arc::new(RandomIds)), stop);
    process::announce(addr);
    facade_service::serve(listener, facade).await.map_err(|error| Exit::Failure.because(error))
}
