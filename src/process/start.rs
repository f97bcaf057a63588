//! The start of a service: from its arguments to a listener.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    exit::Exit,
    settings::{self, WrongSettings},
    signal::stop_on_signal,
};
use crate::net::{listen, tell_open_files};

/// A service that listens and has not served yet.
#[derive(Debug)]
pub struct Started<Settings> {
    /// What it was told, checked.
    pub settings: Settings,
    /// Where connections arrive.
    pub listener: TcpListener,
    /// The address of the listener, with the port that it got.
    pub addr: SocketAddr,
    /// Cancelled by Ctrl-C, SIGTERM or SIGHUP.
    pub stop: CancellationToken,
}

/// Checks `args`, watches for the stop signal and listens where `listens_on` says.
///
/// # Errors
/// Tells standard error what is wrong, and returns the code to exit with.
pub async fn start<Args, Settings>(
    args: Args,
    listens_on: impl FnOnce(&Settings) -> SocketAddr,
) -> Result<Started<Settings>, Exit>
where
    Settings: TryFrom<Args, Error = WrongSettings>,
{
    let settings = settings::check::<Args, Settings>(args)?;
    let stop = stop_on_signal()?;
    let listener = listen(listens_on(&settings)).await;
    let listener = listener.map_err(|error| Exit::Unavailable.because(error))?;
    let addr = listener.local_addr().map_err(|error| Exit::Unavailable.because(error))?;
    Ok(Started { settings, listener, addr, stop })
}

/// Prints the line that tells people and programs that `addr` now accepts work, and tells the log how
/// much of it. A standard output that nobody reads does not stop a service.
pub fn announce(addr: SocketAddr) {
    tell_open_files();
    let _ = writeln!(io::stdout(), "listening addr={addr}");
}
