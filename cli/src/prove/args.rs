//! The arguments of `oncelog prove`.

use std::{path::PathBuf, time::Duration};

use faultlab::{
    nemesis::Fault,
    report::{Parameters, Subject},
};
use logging_service::settings::StoreKind;
use oncelog::process::settings::{Checks, WrongSettings};

/// More clients than this measure the machine, not the services.
const CLIENTS_MAX: usize = 1024;

/// Requests a second in a run of its own, and in a deployment that others need.
const RATES: [u32; 2] = [1000, 100];

/// How long, how hard, which faults.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the workload and the schedule of faults follow from; a new one is chosen if it is left out
    #[arg(long)]
    seed: Option<u64>,

    /// How long messages are posted while there are faults, such as 60s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    duration: String,

    /// Clients that post at the same time
    #[arg(long, value_name = "N", default_value = "16")]
    clients: String,

    /// Requests a second over all clients, about; 0 is as many as they can
    /// [default: 1000, with --target 100]
    #[arg(long, value_name = "N")]
    rate: Option<String>,

    /// Audit the facade there, which runs and may have other users: no faults; what is posted stays
    #[arg(long, value_name = "URL")]
    target: Option<String>,

    /// Faults, separated by commas
    #[arg(
        long,
        value_name = "FAULT,…",
        default_value_t = Fault::ALL.map(Fault::name).join(","),
        conflicts_with = "target"
    )]
    faults: String,

    /// Where messages are kept: `journal`, or `memory`, which forgets and must be found out
    #[arg(long, value_name = "STORE", default_value = "journal", conflicts_with = "target")]
    store: String,

    /// Where to keep data while it runs, such as a directory on the disk to prove it for
    /// [default: that of temporary files]
    #[arg(long, value_name = "DIR", conflicts_with = "target")]
    dir: Option<PathBuf>,

    /// Keep history, log, data and service logs in this new directory, whatever the run comes to
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    keep: Option<PathBuf>,

    /// Where to write the report, a page for a browser
    #[arg(long, value_name = "FILE.html", default_value = "oncelog-prove.html")]
    report: PathBuf,
}

/// The parsed arguments.
pub(super) struct Settings {
    pub(super) parameters: Parameters,
    /// Time between two requests of a client.
    pub(super) gap: Duration,
    pub(super) faults: Vec<Fault>,
    pub(super) dir: Option<PathBuf>,
    pub(super) keep: Option<PathBuf>,
    pub(super) report: PathBuf,
}

impl TryFrom<Args> for Settings {
    type Error = WrongSettings;

    fn try_from(args: Args) -> Result<Self, WrongSettings> {
        let mut checks = Checks::default();
        let duration = checks.duration("--duration", &args.duration);
        let clients: Option<usize> = checks.parse("--clients", &args.clients);
        if clients.is_some_and(|clients| !(1..=CLIENTS_MAX).contains(&clients)) {
            let problem = format!("must be 1 to {CLIENTS_MAX}");
            checks.problem("--clients", &args.clients, problem);
            return Err(checks.wrong());
        }
        let rate: Option<u32> = match &args.rate {
            Some(rate) => checks.parse("--rate", rate),
            None => Some(RATES[usize::from(args.target.is_some())]),
        };
        let names = args.faults.split(',').map(str::trim);
        let faults: Option<Vec<Fault>> = names.map(|name| checks.parse("--faults", name)).collect();
        let store: Option<StoreKind> = checks.parse("--store", &args.store);
        let subject = match (&args.target, store) {
            (Some(url), _) => checks.service_url("--target", url).map(|url| Subject::Running {
                url: url.to_string().trim_end_matches('/').to_owned(),
            }),
            (None, store) => store.map(|store| Subject::Private { store: store.to_string() }),
        };
        match (duration, clients, rate, faults, subject) {
            (Some(duration), Some(clients), Some(rate), Some(faults), Some(subject)) => {
                let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
                let gap = clients as f64 / f64::from(rate.max(1));
                Ok(Self {
                    parameters: Parameters { seed, duration, clients, subject },
                    gap: if rate == 0 { Duration::ZERO } else { Duration::from_secs_f64(gap) },
                    faults,
                    dir: args.dir,
                    keep: args.keep,
                    report: args.report,
                })
            }
            _ => Err(checks.wrong()),
        }
    }
}
