//! `oncelog prove`: does harm to a private trio, and audits what is left.
//!
//! - [`Args`]: how long, how hard, which faults
//! - `experiment`: load and faults, then healing, resolving, reading
//! - `progress`: a line that moves while it runs

mod experiment;
mod progress;

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use faultlab::{
    nemesis::Fault,
    report::{Asked, Report, Verdict},
    trio::Programs,
};
use logging_service::settings::StoreKind;
use oncelog::{
    exit::Exit,
    server,
    settings::{Checks, WrongSettings},
};

use self::experiment::{Experiment, Outcome};

/// More clients than this measure the machine, not the services.
const CLIENTS_MAX: usize = 1024;

/// The facade's patience with one attempt and with a message: short, so that there are outages it does
/// not sit out and outcomes remain unknown.
const TIMEOUTS: [&str; 2] = ["500ms", "2s"];

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

    /// Faults, separated by commas
    #[arg(
        long,
        value_name = "FAULT,…",
        default_value_t = Fault::ALL.map(Fault::name).join(",")
    )]
    faults: String,

    /// Where messages are kept: `journal`, or `memory`, which forgets and must be found out
    #[arg(long, value_name = "STORE", default_value = "journal")]
    store: String,

    /// Where to write the report, a page for a browser
    #[arg(long, value_name = "FILE.html", default_value = "oncelog-prove.html")]
    report: PathBuf,

    /// Keep history, log, data and service logs in this new directory, whatever the run comes to
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

struct Settings {
    asked: Asked,
    faults: Vec<Fault>,
    report: PathBuf,
    keep: Option<PathBuf>,
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
        let names = args.faults.split(',').map(str::trim);
        let faults: Option<Vec<Fault>> = names.map(|name| checks.parse("--faults", name)).collect();
        let store: Option<StoreKind> = checks.parse("--store", &args.store);
        match (duration, clients, faults, store) {
            (Some(duration), Some(clients), Some(faults), Some(store)) => Ok(Self {
                asked: Asked {
                    seed: args.seed.unwrap_or_else(|| fastrand::u64(..)),
                    duration,
                    clients,
                    store: store.to_string(),
                },
                faults,
                report: args.report,
                keep: args.keep,
            }),
            _ => Err(checks.wrong()),
        }
    }
}

/// Proves it, or finds that it is not so. Ctrl-C ends the faults early; what happened until then is
/// judged.
///
/// # Errors
/// The code to exit with: [`Exit::Failure`] if a promise was broken, [`Exit::Vacuous`] if the run
/// shows nothing, [`Exit::Unavailable`] if the services do not start.
pub async fn run(args: Args) -> Result<(), Exit> {
    let settings = Settings::try_from(args).map_err(|wrong| Exit::Usage.because(wrong))?;
    let stop = server::stop_on_signal().map_err(|error| {
        Exit::Failure.because(format_args!("cannot watch for the stop signal: {error}"))
    })?;
    let programs = programs(&settings.asked.store).map_err(|error| Exit::Failure.because(error))?;
    let dir = Place::new(settings.keep)
        .map_err(|error| Exit::Disk.because(format_args!("no directory for the run: {error}")))?;
    print(format_args!("seed {}", settings.asked.seed))?;
    let experiment = Experiment { asked: settings.asked, faults: settings.faults };
    let outcome = match experiment.run(programs, dir.path(), &stop).await {
        Ok(outcome) => outcome,
        Err(failure) => {
            let kept = dir.keep();
            let exit = if failure.began { Exit::Failure } else { Exit::Unavailable };
            return Err(exit.because(format_args!("{failure}; all of it is in {}", kept.display())));
        }
    };
    conclude(&outcome, &settings.report, dir)
}

fn conclude(outcome: &Outcome, file: &Path, dir: Place) -> Result<(), Exit> {
    let report: &Report = &outcome.report;
    print(format_args!("\n{report}"))?;
    let failed = |error: io::Error| {
        Exit::Disk.because(format_args!("cannot write {}: {error}", file.display()))
    };
    fs::write(file, report.html()).map_err(failed)?;
    print(format_args!("\nreport: {}", file.display()))?;
    let verdict = report.verdict();
    if let (Place::Asked(kept), Verdict::Kept | Verdict::Vacuous) = (&dir, verdict) {
        outcome.keep(kept).map_err(failed)?;
        print(format_args!("kept: {}", kept.display()))?;
    }
    match verdict {
        Verdict::Kept => Ok(()),
        Verdict::Vacuous => Err(Exit::Vacuous),
        Verdict::Broken => {
            let broken: Vec<_> = report.broken_invariants().iter().map(|one| one.id()).collect();
            let kept = dir.keep();
            outcome.keep(&kept).map_err(failed)?;
            Err(Exit::Failure.because(format_args!(
                "broken: {}; data, logs and history are in {}",
                broken.join(" "),
                kept.display()
            )))
        }
    }
}

/// Where a run has its data, logs and history.
enum Place {
    /// Wiped out in the end, unless somebody has to look into it.
    Temporary(tempfile::TempDir),
    /// Left as it is.
    Asked(PathBuf),
}

impl Place {
    /// A new directory: what is left of another run would be mixed up with this one.
    fn new(keep: Option<PathBuf>) -> io::Result<Self> {
        match keep {
            Some(dir) => fs::create_dir(&dir)
                .map_err(|error| io::Error::other(format!("{}: {error}", dir.display())))
                .map(|()| Self::Asked(dir)),
            None => {
                let dir = tempfile::Builder::new().prefix("oncelog-prove-").tempdir()?;
                Ok(Self::Temporary(dir))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Asked(dir) => dir,
        }
    }

    fn keep(self) -> PathBuf {
        match self {
            Self::Temporary(dir) => dir.keep(),
            Self::Asked(dir) => dir,
        }
    }
}

/// This very program, in its role as each of the services. Segments are small, so that the journal goes
/// on to a new file while it is harmed.
fn programs(store: &str) -> io::Result<Programs> {
    let program = env::current_exe()?;
    let serve = |args: &[&str]| {
        let args = ["serve"].iter().chain(args).map(Into::into);
        [program.clone().into_os_string()].into_iter().chain(args).collect()
    };
    let [attempt, total] = TIMEOUTS;
    Ok(Programs {
        facade: serve(&["facade", "--attempt-timeout", attempt, "--total-timeout", total]),
        logging: serve(&["logging", "--store", store, "--segment-size", "1MiB", "--hide-bodies"]),
        messages: serve(&["messages"]),
    })
}

fn print(text: impl std::fmt::Display) -> Result<(), Exit> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Exit::Disk.because(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
