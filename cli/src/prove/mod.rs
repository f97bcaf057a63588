//! `oncelog prove`: does harm to a private trio, and audits what is left; or audits a deployment that
//! runs.
//!
//! - [`Args`]: how long, how hard, which faults
//! - `experiment`: load and faults, then healing, resolving, reading
//! - `target`: load only, among that of others, then resolving and reading
//! - `evidence`: where a private trio keeps its data, and what is kept of a run that failed
//! - `progress`: a line that moves while it runs

mod args;
mod evidence;
mod experiment;
mod progress;
mod target;

use std::{
    env, fs,
    io::{self, Write as _},
    path::Path,
};

use faultlab::{
    cluster::Programs,
    processes::Group,
    report::{Subject, Verdict},
};
use oncelog::{exit::Exit, server};
use tokio_util::sync::CancellationToken;

pub use self::args::Args;
use self::{
    args::Settings,
    evidence::{Outcome, Place, is_in_memory},
    experiment::Experiment,
    target::Audit,
};

/// The facade's patience with one attempt and with a message: short, so that there are outages it does
/// not sit out and outcomes remain unknown.
const TIMEOUTS: [&str; 2] = ["500ms", "2s"];

/// Proves it, or finds that it is not so. Ctrl-C ends the faults early; what happened until then is
/// judged.
///
/// # Errors
/// The code to exit with: [`Exit::Failure`] if a promise was broken, [`Exit::Vacuous`] if the run
/// shows nothing, [`Exit::Unavailable`] if the services do not start or no Oncelog is at the target.
pub async fn run(args: Args) -> Result<(), Exit> {
    let settings = Settings::try_from(args).map_err(|wrong| Exit::Usage.because(wrong))?;
    let stop = server::stop_on_signal().map_err(|error| {
        Exit::Failure.because(format_args!("cannot watch for the stop signal: {error}"))
    })?;
    print(format_args!("seed {}", settings.asked.seed))?;
    match settings.asked.subject.clone() {
        Subject::Private { store } => prove(settings, &store, &stop).await,
        Subject::Running { url } => audit(settings, &url, &stop).await,
    }
}

async fn prove(settings: Settings, store: &str, stop: &CancellationToken) -> Result<(), Exit> {
    let programs = programs(store).map_err(|error| Exit::Failure.because(error))?;
    let place = Place::new(settings.dir, settings.keep)
        .map_err(|error| Exit::Disk.because(format_args!("no directory for the run: {error}")))?;
    print(format_args!("data in {}", place.path().display()))?;
    if is_in_memory(place.path()) {
        print("which is in memory, where a sync costs nothing: --dir takes a directory on a disk")?;
    }
    let (asked, gap, faults) = (settings.asked, settings.gap, settings.faults);
    let experiment = Experiment { asked, gap, faults };
    let outcome = match experiment.run(programs, place.path(), stop).await {
        Ok(outcome) => outcome,
        Err(failure) => {
            let kept = place.keep();
            let exit = if failure.began { Exit::Failure } else { Exit::Unavailable };
            return Err(exit.because(format_args!("{failure}; all of it is in {}", kept.display())));
        }
    };
    conclude(&outcome, &settings.report, place)
}

async fn audit(settings: Settings, url: &str, stop: &CancellationToken) -> Result<(), Exit> {
    let audit = Audit { asked: settings.asked, gap: settings.gap };
    let outcome = audit.run(url, stop).await;
    let outcome = outcome.map_err(|reason| {
        Exit::Unavailable.because(format_args!("cannot audit {url}: {reason}"))
    })?;
    let place = Place::new(None, settings.keep)
        .map_err(|error| Exit::Disk.because(format_args!("no directory for the run: {error}")))?;
    conclude(&outcome, &settings.report, place)
}

/// Shows what it came to, and keeps in `place` what was asked for and the evidence of what should not
/// be.
fn conclude(outcome: &Outcome, file: &Path, place: Place) -> Result<(), Exit> {
    let report = &outcome.report;
    print(format_args!("\n{report}"))?;
    let failed = |error: io::Error| {
        Exit::Disk.because(format_args!("cannot write {}: {error}", file.display()))
    };
    fs::write(file, report.html()).map_err(failed)?;
    print(format_args!("\nreport: {}", file.display()))?;
    let verdict = report.verdict();
    let unkept = |error| Exit::Disk.because(format_args!("cannot keep the evidence: {error}"));
    if let (Place::Asked(kept), Verdict::Kept | Verdict::Vacuous) = (&place, verdict) {
        outcome.keep(kept).map_err(unkept)?;
        print(format_args!("kept: {}", kept.display()))?;
    }
    match verdict {
        Verdict::Kept => Ok(()),
        Verdict::Vacuous => Err(Exit::Vacuous),
        Verdict::Broken => {
            let broken: Vec<_> = report.broken_invariants().iter().map(|one| one.id()).collect();
            let kept = place.keep();
            outcome.keep(&kept).map_err(unkept)?;
            Err(Exit::Failure.because(format_args!(
                "broken: {}; the evidence is in {}",
                broken.join(" "),
                kept.display()
            )))
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
        group: Group::Own,
    })
}

fn print(text: impl std::fmt::Display) -> Result<(), Exit> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Exit::Disk.because(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
