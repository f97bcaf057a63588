//! `oncelog bench`: how fast a facade that runs stores messages.
//!
//! - [`Args`]: how to load it, and for how long
//! - `load`: warm-up and measurement, with a line that moves meanwhile
//! - `report`: the figures, as a table or as JSON

mod args;
mod load;
mod report;

use std::{fmt::Display, io, net::SocketAddr};

use http::Uri;
use oncelog::{
    limits,
    process::{self, exit::Exit, settings},
};
use tokio::{net, time::timeout};

pub use self::args::Args;
use self::{args::Settings, report::Report};
use crate::terminal::print;

/// Loads the facade, and prints the figures. Ctrl-C ends it early; what was measured until then is
/// printed.
///
/// # Errors
/// The code to exit with: [`Exit::Unavailable`] if the facade cannot be reached, [`Exit::Failure`] if
/// nothing was acknowledged while it was measured.
pub async fn run(args: Args) -> Result<(), Exit> {
    let settings: Settings = settings::check(args)?;
    let stop = process::stop_on_signal()?;
    let url = settings.url.to_string();
    let url = url.trim_end_matches('/');
    let unreachable = |reason: &dyn Display| {
        Exit::Unavailable.because(format_args!("cannot reach the facade at {url}: {reason}"))
    };
    let target = reach(&settings.url).await.map_err(|reason| unreachable(&reason))?;
    if !settings.json {
        print(format_args!("every message is new and stays in the log of {url}"))?;
    }
    let report = load::run(settings, target, &stop).await;
    let report: Report = report.map_err(|error| unreachable(&error))?;
    if report.settings.json {
        let json = serde_json::to_string(&report.to_json());
        print(json.map_err(|error| Exit::Failure.because(error))?)?;
    } else {
        print(format_args!("\n{report}"))?;
    }
    match report.shortfall() {
        Some(why) => Err(Exit::Failure.because(why)),
        None => Ok(()),
    }
}

/// The first address of the host that accepts a connection: a name may have several.
async fn reach(url: &Uri) -> io::Result<SocketAddr> {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let addresses = net::lookup_host(authority).await?;
    let mut reason = io::Error::other("this name has no address");
    for address in addresses {
        match timeout(limits::CONNECT_TIMEOUT, net::TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(address),
            Ok(Err(error)) => reason = error,
            Err(_) => {
                let late = format!("no connection within {:?}", limits::CONNECT_TIMEOUT);
                reason = io::Error::new(io::ErrorKind::TimedOut, late);
            }
        }
    }
    Err(reason)
}
