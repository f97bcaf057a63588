//! The messages service as a process.

use oncelog::{
    net,
    process::{self, Started, exit::Exit},
};

use crate::{
    serve,
    settings::{Args, Settings},
};

/// Listens and serves as `args` say, until Ctrl-C or SIGTERM.
///
/// # Errors
/// Tells standard error what is wrong, and returns the code to exit with.
pub async fn run(args: Args) -> Result<(), Exit> {
    let Started { listener, addr, stop, .. } =
        process::start(args, |settings: &Settings| settings.listen).await?;
    process::announce(addr);
    let served = serve(net::incoming(listener), stop).await;
    served.map_err(|error| error.exit().because(error))
}
