//! The arguments of `oncelog prove`.

use std::{path::PathBuf, time::Duration};

use faultlab::{
    nemesis::Fault,
    report::{Parameters, Subject},
};
use logging_service::settings::StoreKind;
use oncelog::process::settings::{Checks, Setting, TIMEOUTS, WrongSettings};

/// More clients than this measure the machine, not the services.
const CLIENTS_MAX: usize = 1024;

/// Requests a second in a run of its own, and in a deployment that others need.
const RATES: [u32; 2] = [1000, 100];

/// How long, how hard, which faults.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the workload and the schedule of faults follow from; a new one is chosen if it is left out
    #[arg(long, value_name = "NUMBER")]
    seed: Option<Setting>,

    /// How long messages are posted while there are faults, such as 60s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    duration: Setting,

    /// Clients that post at the same time
    #[arg(long, value_name = "N", default_value = "16")]
    clients: Setting,

    /// Requests a second over all clients, about; 0 is as many as they can
    /// [default: 1000, with --target 100]
    #[arg(long, value_name = "N")]
    rate: Option<Setting>,

    /// Audit the facade there, which runs and may have other users: no faults; what is posted stays
    #[arg(long, value_name = "URL")]
    target: Option<Setting>,

    /// Faults, separated by commas
    /// [default: kill,kill-messages,freeze,cut,half-close,reset,delay,scatter,throttle,hold,
    /// drop-requests,drop-replies,black-hole,flap]
    #[arg(long, value_name = "FAULT,…")]
    faults: Option<Setting>,

    /// Where messages are kept: `journal`, or `memory`, which forgets and must be found out
    /// [default: journal]
    #[arg(long, value_name = "STORE")]
    store: Option<Setting>,

    /// Where to keep data while it runs, such as a directory on the disk to prove it for
    /// [default: that of temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<Setting>,

    /// Keep history, log, data and service logs in this new directory, whatever the run comes to
    #[arg(long, value_name = "DIR")]
    keep: Option<Setting>,

    /// Where to write the report, a page for a browser
    #[arg(long, value_name = "FILE.html", default_value = "oncelog-prove.html")]
    report: Setting,
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
        let seed = args.seed.as_ref().map(|seed| checks.number(seed, 0..=u64::MAX));
        let duration = checks.duration(&args.duration, TIMEOUTS);
        let clients = checks.number(&args.clients, 1..=CLIENTS_MAX);
        let rate = match &args.rate {
            Some(rate) => checks.number(rate, 0..=u32::MAX),
            None => Some(RATES[usize::from(args.target.is_some())]),
        };
        let faults = match &args.faults {
            Some(faults) => parse_faults(&mut checks, faults),
            None => Some(Fault::ALL.to_vec()),
        };
        let store = checks.parse_optional::<StoreKind>(args.store.as_ref());
        let subject = match &args.target {
            Some(url) => checks.service_url(url).map(|url| Subject::Running {
                url: url.to_string().trim_end_matches('/').to_owned(),
            }),
            None => store.map(|store| Subject::Private {
                store: store.unwrap_or(StoreKind::Journal).to_string(),
            }),
        };
        let mut path = |dir: &Option<Setting>| match dir {
            Some(dir) => checks.path(dir).map(Some),
            None => Some(None),
        };
        let (dir, keep) = (path(&args.dir), path(&args.keep));
        let report = checks.path(&args.report);
        check_relations(&mut checks, &args);
        checks.finish(|| {
            let (duration, clients, rate) = (duration?, clients?, rate?);
            let seed = seed.unwrap_or_else(|| Some(fastrand::u64(..)))?;
            let gap = clients as f64 / f64::from(rate.max(1));
            Some(Self {
                parameters: Parameters { seed, duration, clients, subject: subject? },
                gap: if rate == 0 { Duration::ZERO } else { Duration::from_secs_f64(gap) },
                faults: faults?,
                dir: dir?,
                keep: keep?,
                report: report?,
            })
        })
    }
}

/// Every name that is none is a problem of its own.
fn parse_faults(checks: &mut Checks, faults: &Setting) -> Option<Vec<Fault>> {
    let names = checks.text(faults)?.split(',').map(str::trim);
    let parsed: Vec<_> = names.map(|name| checks.parse(&faults.part(name))).collect();
    parsed.into_iter().collect()
}

fn check_relations(checks: &mut Checks, args: &Args) {
    if args.target.is_some() {
        for setting in [&args.faults, &args.store, &args.dir].into_iter().flatten() {
            checks.problem(setting, "is for private services; leave it out with --target");
        }
    }
    if let (Some(keep), Some(_)) = (&args.keep, &args.dir) {
        checks.problem(keep, "keeps the data too; leave out --dir");
    }
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn help_names_all_faults() {
        let help = Args::augment_args(clap::Command::new("prove")).render_help().to_string();
        let help: String = help.split_whitespace().collect();
        assert!(help.contains(&Fault::ALL.map(Fault::name).join(",")), "{help}");
    }
}
