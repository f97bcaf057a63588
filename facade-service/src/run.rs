//! The facade as a process.

use std::sync::Arc;

use oncelog::{
    message::RandomIds,
    process::{self, Started, exit::Exit},
};

use crate::{
    Facade, Options, Upstreams, serve,
    settings::{Args, Settings},
};

/// Listens and serves as `args` say, until Ctrl-C, SIGTERM or SIGHUP.
///
/// # Errors
/// Tells standard error what is wrong, and returns the code to exit with.
pub async fn run(args: Args) -> Result<(), Exit> {
    let Started { settings, listener, addr, stop } =
        process::start(args, |settings: &Settings| settings.listen).await?;
    let facade =
        Facade::new(Upstreams::connect(&settings), Options::new(Arc::new(RandomIds)), stop);
    process::announce(addr);
    serve(listener, facade).await.map_err(|error| Exit::Failure.because(error))
}
