//! `oncelog prove`: harms a private cluster, and audits what is left; or audits a running deployment.
//!
//! - [`Args`]: how long, how hard, which faults
//! - `experiment`: load and faults, then healing, resolving, reading
//! - `target`: load only, among that of others, then resolving and reading
//! - `evidence`: where a private cluster keeps its data, and what is kept of a run that failed

mod args;
mod evidence;
mod experiment;
mod target;

use std::{env, fs, io, path::Path, time::Duration};

use faultlab::{
    checker::Violation,
    cluster::Programs,
    history::History,
    load::{Poster, Run},
    processes::Group,
    report::{Conclusion, Subject},
};
use futures_util::future::join_all;
use oncelog::process::{self, exit::Exit, settings};
use tokio_util::sync::CancellationToken;

pub use self::args::Args;
use self::{
    args::Settings,
    evidence::{Outcome, RunDir, is_in_memory},
    experiment::Experiment,
    target::Audit,
};
use crate::terminal::{INTERVAL, ProgressLine, print};

/// The facade's time limits for one attempt and for a message: short, so that some outages last longer
/// and outcomes remain unknown.
const TIMEOUTS: [&str; 2] = ["500ms", "2s"];

/// From the end of the load to receipts for all that was unknown.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Checks the promises, and writes a report. Ctrl-C ends the faults early; what happened until then is
/// checked.
///
/// # Errors
/// The code to exit with: [`Exit::Failure`] if a promise was broken, [`Exit::Vacuous`] if the run
/// shows nothing, [`Exit::Unavailable`] if the services do not start or no Oncelog is at the target.
pub async fn run(args: Args) -> Result<(), Exit> {
    let settings: Settings = settings::check(args)?;
    let stop = process::stop_on_signal()?;
    print(format_args!("seed {}", settings.parameters.seed))?;
    match settings.parameters.subject.clone() {
        Subject::Private { store } => prove(settings, &store, &stop).await,
        Subject::Running { url } => audit(settings, &url, &stop).await,
    }
}

async fn prove(settings: Settings, store: &str, stop: &CancellationToken) -> Result<(), Exit> {
    let programs = programs(store).map_err(|error| Exit::Failure.because(error))?;
    let dir = RunDir::new(settings.dir, settings.keep)?;
    print(format_args!("data in {}", dir.path().display()))?;
    if is_in_memory(dir.path()) {
        print("which is in memory, where a sync costs nothing: --dir takes a directory on a disk")?;
    }
    let (parameters, gap, faults) = (settings.parameters, settings.gap, settings.faults);
    let experiment = Experiment { parameters, gap, faults };
    let outcome = match experiment.run(programs, dir.path(), stop).await {
        Ok(outcome) => outcome,
        Err(failure) => {
            let kept = dir.keep();
            return Err(failure
                .exit()
                .because(format_args!("{failure}; all of it is in {}", kept.display())));
        }
    };
    conclude(&outcome, &settings.report, dir)
}

async fn audit(settings: Settings, url: &str, stop: &CancellationToken) -> Result<(), Exit> {
    let audit = Audit { parameters: settings.parameters, gap: settings.gap };
    let outcome = audit.run(url, stop).await;
    let outcome = outcome.map_err(|reason| {
        Exit::Unavailable.because(format_args!("cannot audit {url}: {reason}"))
    })?;
    conclude(&outcome, &settings.report, RunDir::new(None, settings.keep)?)
}

/// Shows the report, and keeps in `dir` what was asked for, or the evidence of a broken promise.
fn conclude(outcome: &Outcome, file: &Path, dir: RunDir) -> Result<(), Exit> {
    let report = &outcome.report;
    print(format_args!("\n{report}"))?;
    let failed = |error: io::Error| {
        Exit::Disk.because(format_args!("cannot write {}: {error}", file.display()))
    };
    fs::write(file, report.html()).map_err(failed)?;
    print(format_args!("\nreport: {}", file.display()))?;
    let conclusion = report.conclusion();
    let unkept = |error| Exit::Disk.because(format_args!("cannot keep the evidence: {error}"));
    if let (RunDir::Asked(kept), Conclusion::Kept | Conclusion::Vacuous) = (&dir, conclusion) {
        outcome.keep(kept).map_err(unkept)?;
        print(format_args!("kept: {}", kept.display()))?;
    }
    match conclusion {
        Conclusion::Kept => Ok(()),
        Conclusion::Vacuous => Err(Exit::Vacuous),
        Conclusion::Broken => {
            let broken: Vec<_> = report.broken_invariants().iter().map(|one| one.id()).collect();
            let kept = dir.keep();
            outcome.keep(&kept).map_err(unkept)?;
            Err(Exit::Failure.because(format_args!(
                "broken: {}; the evidence is in {}",
                broken.join(" "),
                kept.display()
            )))
        }
    }
}

/// This program as each of the services. Segments are small, so that the journal goes
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

/// Lets every poster settle what is unknown. Adds what they saw to `history`, and returns what they could
/// not settle in time.
async fn settle(posters: Vec<Poster<'_>>, history: &mut History) -> Vec<Violation> {
    let settled = posters.into_iter().map(|poster| poster.settle(SETTLE_TIMEOUT, 1));
    let mut unresolved = Vec::new();
    for settled in join_all(settled).await {
        history.merge(settled.history);
        unresolved.extend(settled.unresolved);
    }
    unresolved
}

/// Shows how far the run is. Never returns.
async fn show_progress(run: &Run, duration: Duration) {
    let line = ProgressLine::new();
    loop {
        line.show(format_args!(
            "{:.0} of {:.0} s: {} posts, {} acknowledged, {} faults",
            run.origin().elapsed().as_secs_f64(),
            duration.as_secs_f64(),
            run.attempts(),
            run.acknowledged(),
            run.faults(),
        ));
        tokio::time::sleep(INTERVAL).await;
    }
}
