//! Flags and environment variables.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Parser;
use oncelog::process::settings::{self, Checks, Setting, WrongSettings};

use crate::console::Bodies;

/// Stores each message once, durably and in order.
#[derive(Debug, Parser)]
#[command(name = "logging-service", version)]
pub struct Args {
    /// Address to serve gRPC on; port 0 takes any free port
    #[arg(long, env = "LOGGING_LISTEN", default_value = "127.0.0.1:5001", value_name = "ADDR")]
    listen: Setting,

    /// Where messages are kept: `journal` (on disk) or `memory` (a restart forgets them)
    #[arg(long, env = "LOGGING_STORE", default_value = "journal", value_name = "STORE")]
    store: Setting,

    /// Directory of the journal; created if it is missing
    #[arg(long, env = "LOGGING_DATA_DIR", default_value = "data/logging", value_name = "DIR")]
    data_dir: Setting,

    /// Size of one journal file, whose space is reserved ahead, such as 64MiB
    #[arg(long, env = "LOGGING_SEGMENT_SIZE", default_value = "64MiB", value_name = "SIZE")]
    segment_size: Setting,

    /// Show sizes and ids on the console instead of message bodies
    #[arg(long, env = "LOGGING_HIDE_BODIES", value_parser = settings::Switch, default_value_t = false)]
    hide_bodies: bool,
}

/// What the service runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What keeps the messages.
    pub store: StoreKind,
    /// Where the journal is.
    pub data_dir: PathBuf,
    /// Bytes of one journal segment.
    pub segment_bytes: u64,
    /// What the console shows.
    pub bodies: Bodies,
}

/// What keeps the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// On disk.
    Journal,
    /// In memory: a restart forgets what was acknowledged.
    Memory,
}

impl StoreKind {
    /// Whether an acknowledged message survives a restart.
    pub fn is_durable(self) -> bool {
        match self {
            Self::Journal => true,
            Self::Memory => false,
        }
    }
}

impl FromStr for StoreKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "journal" => Ok(Self::Journal),
            "memory" => Ok(Self::Memory),
            _ => Err("write journal or memory"),
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Journal => "journal",
            Self::Memory => "memory",
        })
    }
}

/// Smallest journal segment: space for one frame of any size the service writes.
const SEGMENT_BYTES_MIN: u64 = 64 * 1024;

/// Largest journal segment.
const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

impl TryFrom<Args> for Settings {
    type Error = WrongSettings;

    fn try_from(args: Args) -> Result<Self, Self::Error> {
        let mut checks = Checks::default();
        let listen = checks.listen(&args.listen);
        let store = checks.parse(&args.store);
        let segment_bytes =
            checks.byte_size(&args.segment_size, SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX);
        let data_dir = checks.path(&args.data_dir);
        let bodies = if args.hide_bodies { Bodies::Hidden } else { Bodies::Shown };
        checks.finish(|| {
            Some(Self {
                listen: listen?,
                store: store?,
                data_dir: data_dir?,
                segment_bytes: segment_bytes?,
                bodies,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(args: &[&str]) -> Result<Settings, WrongSettings> {
        settings::parse::<Args>([&["logging-service"], args].concat()).unwrap().try_into()
    }

    #[test]
    fn the_defaults_are_a_journal_on_loopback() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:5001");
        assert_eq!(settings.store, StoreKind::Journal);
        assert_eq!(settings.data_dir, PathBuf::from("data/logging"));
        assert_eq!(settings.segment_bytes, 64 * 1024 * 1024);
        assert_eq!(settings.bodies, Bodies::Shown);
    }

    #[test]
    fn all_wrong_settings_are_named_at_once() {
        let args = ["--listen", "5001", "--store", "tape", "--segment-size", "1"];
        let wrong = settings(&args).unwrap_err().to_string();
        for part in ["--listen \"5001\"", "--store \"tape\"", "--segment-size \"1\""] {
            assert!(wrong.contains(part), "{wrong}");
        }
    }
}
