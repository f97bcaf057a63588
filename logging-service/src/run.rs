//! The logging service as a process.

use oncelog::process::{self, Started, exit::Exit};

use crate::{
    serve,
    settings::{Args, Settings},
};

/// Listens and serves as `args` say, until Ctrl-C, SIGTERM or SIGHUP, or until the disk fails.
///
/// # Errors
/// Tells standard error what is wrong, and returns the code to exit with.
pub async fn run(args: Args) -> Result<(), Exit> {
    let Started { settings, listener, stop, .. } =
        process::start(args, |settings: &Settings| settings.listen).await?;
    let served = serve(listener, settings, stop, process::announce).await;
    served.map_err(|error| error.exit().because(error))
}
