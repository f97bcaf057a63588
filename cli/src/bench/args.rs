//! The arguments of `oncelog bench`.

use std::{ops::RangeInclusive, time::Duration};

use faultlab::open_loop::{Arrivals, Plan};
use http::Uri;
use oncelog::{
    limits,
    process::settings::{Checks, Setting, Switch, WrongSettings},
};

use crate::send::DEFAULT_URL;

/// The JSON around the text of a message: `{"msg":""}`.
const JSON_AROUND_BYTES: u64 = 10;

/// The facade keeps no more connections than this.
const CONNECTIONS: RangeInclusive<usize> = 1..=oncelog::net::CONNECTIONS_MAX;

/// Messages a second. One generator sends no more than this.
const RATES: RangeInclusive<u32> = 1..=1_000_000;

/// The fate of each message is remembered: an hour may take a few hundred megabytes.
const DURATION_MAX: Duration = Duration::from_secs(3600);

/// How to load which facade, and for how long.
///
/// Every message is a new one, and what is posted stays in the log.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the facade is. What is posted stays in its log
    #[arg(env = "FACADE_URL", value_name = "URL", default_value = DEFAULT_URL)]
    url: Setting,

    /// Connections, each with one message under way at most
    #[arg(long, value_name = "N", default_value = "64")]
    connections: Setting,

    /// How long to measure, such as 10s or 1m
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    duration: Setting,

    /// How long to post before that, without measuring; 0s for not at all
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    warmup: Setting,

    /// Messages a second, whatever the answers do; latencies count from the moment a message is due
    /// [default: each connection posts when its last answer is there]
    #[arg(long, value_name = "N")]
    rate: Option<Setting>,

    /// Bytes of the text of each message, such as 100 or 64KiB; with the JSON around it, a body is 1 MiB
    /// at most
    #[arg(long, value_name = "BYTES", default_value = "100")]
    size: Setting,

    /// Print one JSON object, with latencies in microseconds, instead of a table
    #[arg(long, env = "ONCELOG_JSON", value_parser = Switch)]
    json: bool,
}

/// The parsed arguments.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) url: Uri,
    pub(super) connections: usize,
    pub(super) duration: Duration,
    pub(super) warmup: Duration,
    pub(super) rate: Option<u32>,
    pub(super) size: usize,
    pub(super) json: bool,
}

impl Settings {
    pub(super) fn arrivals(&self) -> Arrivals {
        match self.rate {
            Some(rate) => Arrivals::Open { per_second: f64::from(rate) },
            None => Arrivals::Closed,
        }
    }
}

impl TryFrom<Args> for Settings {
    type Error = WrongSettings;

    fn try_from(args: Args) -> Result<Self, WrongSettings> {
        let mut checks = Checks::default();
        let url = checks.service_url(&args.url);
        let connections = checks.number(&args.connections, CONNECTIONS);
        let duration = checks.duration(&args.duration, Duration::from_nanos(1)..=DURATION_MAX);
        let warmup = checks.duration(&args.warmup, Duration::ZERO..=DURATION_MAX);
        let rate = match &args.rate {
            Some(rate) => checks.number(rate, RATES).map(Some),
            None => Some(None),
        };
        let sizes =
            Plan::TEXT_BYTES_MIN as u64..=limits::HTTP_BODY_BYTES_MAX as u64 - JSON_AROUND_BYTES;
        let size = checks.byte_size(&args.size, sizes);
        let size = size.and_then(|size| usize::try_from(size).ok());
        let settings = || {
            let (url, connections, duration) = (url?, connections?, duration?);
            let (warmup, rate, size, json) = (warmup?, rate?, size?, args.json);
            Some(Self { url, connections, duration, warmup, rate, size, json })
        };
        settings().ok_or_else(|| checks.wrong())
    }
}
