//! The flags of the service, and what they mean.

use std::net::SocketAddr;

use clap::Parser;
use oncelog::process::settings::{Checks, Setting, WrongSettings};

/// The messages service of Oncelog: a stub that answers `not implemented yet`.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Address to listen on; port 0 takes any free port
    #[arg(long, env = "MESSAGES_LISTEN", value_name = "IP:PORT", default_value = "127.0.0.1:5002")]
    listen: Setting,
}

/// Settings that were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Address to listen on.
    pub listen: SocketAddr,
}

impl TryFrom<Args> for Settings {
    type Error = WrongSettings;

    fn try_from(args: Args) -> Result<Self, WrongSettings> {
        let mut checks = Checks::default();
        let listen = checks.listen(&args.listen);
        checks.finish(|| Some(Self { listen: listen? }))
    }
}
