//! `oncelog bench`: how fast a facade that runs stores messages.
//!
//! - [`Args`]: how to load it, and for how long
//! - `load`: warm-up and measurement, with a line that moves meanwhile
//! - `found`: the figures, as a table or as JSON

mod args;
mod found;
mod load;

use std::{
    fmt::Display,
    io::{self, Write as _},
    net::SocketAddr,
};

use http::Uri;
use oncelog::{
    limits,
    process::{self, exit::Exit},
};
use tokio::{net, time::timeout};

pub use self::args::Args;
use self::{args::Settings, found::Found};

/// Loads the facade, and prints the figures. Ctrl-C ends it early; what was measured until then is
/// printed.
///
/// # Errors
/// The code to exit with: [`Exit::Unavailable`] if the facade cannot be reached, [`Exit::Failure`] if
/// nothing was acknowledged while it was measured.
pub async fn run(args: Args) -> Result<(), Exit> {
    let settings = Settings::try_from(args).map_err(|wrong| Exit::Usage.because(wrong))?;
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
    let found = load::run(settings, target, &stop).await;
    let found: Found = found.map_err(|error| unreachable(&error))?;
    if found.settings.json {
        let json = serde_json::to_string(&found.to_json());
        print(json.map_err(|error| Exit::Failure.because(error))?)?;
    } else {
        print(format_args!("\n{found}"))?;
    }
    match found.shortfall() {
        Some(why) => Err(Exit::Failure.because(why)),
        None => Ok(()),
    }
}

/// The first of its addresses that takes a connection: a name may have several.
async fn reach(url: &Uri) -> Result<SocketAddr, String> {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let addresses = net::lookup_host(authority).await.map_err(|error| error.to_string())?;
    let mut reason = "this name has no address".to_owned();
    for address in addresses {
        match timeout(limits::CONNECT_TIMEOUT, net::TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(address),
            Ok(Err(error)) => reason = error.to_string(),
            Err(_) => reason = format!("no connection within {:?}", limits::CONNECT_TIMEOUT),
        }
    }
    Err(reason)
}

fn print(text: impl Display) -> Result<(), Exit> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Exit::Disk.because(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
