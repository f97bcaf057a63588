//! Load and faults, then healing, resolving and reading.

use std::{path::Path, time::Duration};

use faultlab::{
    cluster::{Cluster, ClusterError, Programs},
    history::{Healed, History, Micros, Read, Record},
    load::{Poster, Run, read_on, read_records},
    nemesis::{Done, Fault, harm, schedule},
    processes::ProcessError,
    report::{Parameters, Report},
    resources::Usage,
};
use futures_util::future::join_all;
use oncelog::process::exit::Exit;
use tokio_util::sync::CancellationToken;

use super::{evidence::Outcome, settle, show_progress};

/// From the end of the faults to a receipt for a new post.
const RECOVERY_MICROS_MAX: Micros = 20_000_000;

/// Whole reads of the log during a run, about.
const READS: u32 = 20;

/// What to do.
pub(super) struct Experiment {
    pub(super) parameters: Parameters,
    pub(super) gap: Duration,
    pub(super) faults: Vec<Fault>,
}

/// Why there is nothing to check.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExperimentError {
    /// The services did not start. Nothing was harmed.
    #[error(transparent)]
    NotStarted(ClusterError),
    /// The services failed after they had been harmed, which is a broken promise.
    #[error(transparent)]
    Failed(ClusterError),
    /// They run, and the log cannot be read.
    #[error("the log could not be read after the faults were over")]
    Unreadable,
}

impl ExperimentError {
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::NotStarted(_) => Exit::Unavailable,
            Self::Failed(_) | Self::Unreadable => Exit::Failure,
        }
    }
}

fn failed(error: impl Into<ClusterError>) -> ExperimentError {
    ExperimentError::Failed(error.into())
}

impl Experiment {
    /// Runs it in `dir`; `stop` ends the faults early.
    pub(super) async fn run(
        mut self,
        programs: Programs,
        dir: &Path,
        stop: &CancellationToken,
    ) -> Result<Outcome, ExperimentError> {
        let mut cluster =
            Cluster::start(programs, dir).await.map_err(ExperimentError::NotStarted)?;
        let run = Run::start();
        let watch = cluster.watch();
        let mut faults = Vec::new();
        let (posters, mut history) = self.under_fire(&mut cluster, &run, stop, &mut faults).await?;
        // Ctrl-C may have ended it early.
        self.parameters.duration = self.parameters.duration.min(run.origin().elapsed());
        cluster.restore().await.map_err(failed)?;

        let unresolved = settle(posters, &mut history).await;
        let log = self.audit(&mut cluster, &run, &mut history).await?;
        history.peaks = watch.peaks(&Usage::cap(self.parameters.clients, log.len()));
        let seed = self.parameters.seed;
        let report = Report::new(self.parameters, &history, &log, faults.clone(), unresolved);
        Ok(Outcome { report, seed, history, log, faults, part: false })
    }

    async fn under_fire<'a>(
        &self,
        cluster: &mut Cluster,
        run: &'a Run,
        stop: &CancellationToken,
        faults: &mut Vec<Done>,
    ) -> Result<(Vec<Poster<'a>>, History), ExperimentError> {
        let Parameters { seed, duration, clients, .. } = self.parameters;
        let client = cluster.remote_client();
        let poster = |name| Poster::new(name, client.clone(), run, seed).with_gap(self.gap);
        let posters = (0..clients).map(|name| poster(name).work());
        let reader = read_on(client.clone(), run, seed, duration / READS * 2);
        let plan = schedule(seed, duration, &self.faults);
        let nemesis = async {
            let faults = async {
                harm(cluster, &plan, duration, run, faults).await?;
                tokio::time::sleep_until((run.origin() + duration).into()).await;
                Ok(())
            };
            let result: Result<(), ProcessError> = tokio::select! {
                result = faults => result,
                () = stop.cancelled() => Ok(()),
                () = show_progress(run, duration) => Ok(()),
            };
            run.stop();
            let healed = Healed { at: run.now(), within: RECOVERY_MICROS_MAX };
            // A frozen service is resumed first: clients shall get their answers and end.
            match result {
                Ok(()) => cluster.restore().await.map(|()| healed),
                Err(error) => Err(ClusterError::from(error)),
            }
        };
        let (posters, mut history, harmed) = tokio::join!(join_all(posters), reader, nemesis);
        history.healed.push(harmed.map_err(failed)?);
        Ok((posters, history))
    }

    /// The whole log once nothing is on its way any more, and once more after a last kill, if kills
    /// were asked for.
    async fn audit(
        &self,
        cluster: &mut Cluster,
        run: &Run,
        history: &mut History,
    ) -> Result<Vec<Record>, ExperimentError> {
        cluster.renew_facade().await.map_err(failed)?;
        if self.faults.contains(&Fault::Kill) {
            history.reads.push(whole(cluster, run).await?.0);
            cluster.restart_logging().await.map_err(failed)?;
        }
        let (last, log) = whole(cluster, run).await?;
        history.reads.push(last);
        Ok(log)
    }
}

async fn whole(cluster: &Cluster, run: &Run) -> Result<(Read, Vec<Record>), ExperimentError> {
    cluster.ready().await.map_err(failed)?;
    let read = read_records(&cluster.client(), run).await.filter(|(read, _)| read.complete);
    read.ok_or(ExperimentError::Unreadable)
}
