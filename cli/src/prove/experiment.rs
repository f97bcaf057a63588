//! Load and faults, then healing, resolving and reading.

use std::{fmt, path::Path, time::Duration};

use faultlab::{
    cluster::{Cluster, ClusterError, Programs},
    history::{Healed, History, Micros, Read, Record},
    load::{Poster, Run, read_on, read_records},
    nemesis::{Done, Fault, harm, schedule},
    processes::ProcessError,
    report::{Asked, Report},
    resources::Caps,
};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{evidence::Outcome, progress};

/// From the end of the faults to receipts for all that was unknown.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// From the end of the faults to a receipt for a new post.
const RECOVERY_MICROS_MAX: Micros = 20_000_000;

/// Whole reads of the log during a run, about.
const READS: u32 = 20;

/// What to do.
pub(super) struct Experiment {
    pub(super) asked: Asked,
    pub(super) gap: Duration,
    pub(super) faults: Vec<Fault>,
}

/// Why there is nothing to judge.
#[derive(Debug)]
pub(super) struct Failure {
    /// Whether the services had been harmed: then not to come up again is a broken promise.
    pub(super) began: bool,
    reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

fn broken(error: impl Into<ClusterError>) -> Failure {
    Failure { began: true, reason: error.into().to_string() }
}

impl Experiment {
    /// Runs it in `dir`; `stop` ends the faults early.
    pub(super) async fn run(
        mut self,
        programs: Programs,
        dir: &Path,
        stop: &CancellationToken,
    ) -> Result<Outcome, Failure> {
        let mut trio = Cluster::start(programs, dir)
            .await
            .map_err(|error| Failure { began: false, reason: error.to_string() })?;
        let run = Run::start();
        let watch = trio.watch();
        let mut faults = Vec::new();
        let (posters, mut history) = self.under_fire(&mut trio, &run, stop, &mut faults).await?;
        // Ctrl-C may have ended it early.
        self.asked.duration = self.asked.duration.min(run.origin().elapsed());
        trio.restore().await.map_err(broken)?;

        let settled = posters.into_iter().map(|poster| poster.settle(SETTLE_TIMEOUT, 1));
        let mut unresolved = Vec::new();
        for settled in join_all(settled).await {
            history.merge(settled.history);
            unresolved.extend(settled.unresolved);
        }
        let log = self.audit(&mut trio, &run, &mut history).await?;
        history.peaks = watch.peaks(&Caps::of_a_service(self.asked.clients, log.len()));
        let seed = self.asked.seed;
        let report = Report::new(self.asked, &history, &log, faults.clone(), unresolved);
        Ok(Outcome { report, seed, history, log, faults, part: false })
    }

    async fn under_fire<'a>(
        &self,
        trio: &mut Cluster,
        run: &'a Run,
        stop: &CancellationToken,
        faults: &mut Vec<Done>,
    ) -> Result<(Vec<Poster<'a>>, History), Failure> {
        let Asked { seed, duration, clients, .. } = self.asked;
        let client = trio.remote_client();
        let poster = |name| Poster::new(name, client.clone(), run, seed).with_gap(self.gap);
        let posters = (0..clients).map(|name| poster(name).work());
        let reader = read_on(client.clone(), run, seed, duration / READS * 2);
        let plan = schedule(seed, duration, &self.faults);
        let nemesis = async {
            let faults = async {
                harm(trio, &plan, duration, run, faults).await?;
                tokio::time::sleep_until((run.origin() + duration).into()).await;
                Ok(())
            };
            let result: Result<(), ProcessError> = tokio::select! {
                result = faults => result,
                () = stop.cancelled() => Ok(()),
                () = progress::show(run, duration) => Ok(()),
            };
            run.stop();
            let healed = Healed { at: run.now(), within: RECOVERY_MICROS_MAX };
            // Nobody waits for a frozen service: clients shall get their answers and end.
            match result {
                Ok(()) => trio.restore().await.map(|()| healed),
                Err(error) => Err(ClusterError::from(error)),
            }
        };
        let (posters, mut history, harmed) = tokio::join!(join_all(posters), reader, nemesis);
        history.healed.push(harmed.map_err(broken)?);
        Ok((posters, history))
    }

    /// The whole log once nothing is on its way any more, and once more after a last kill, if kills
    /// were asked for.
    async fn audit(
        &self,
        trio: &mut Cluster,
        run: &Run,
        history: &mut History,
    ) -> Result<Vec<Record>, Failure> {
        trio.renew_facade().await.map_err(broken)?;
        if self.faults.contains(&Fault::Kill) {
            history.reads.push(whole(trio, run).await?.0);
            trio.restart_logging().await.map_err(broken)?;
        }
        let (last, log) = whole(trio, run).await?;
        history.reads.push(last);
        Ok(log)
    }
}

async fn whole(trio: &Cluster, run: &Run) -> Result<(Read, Vec<Record>), Failure> {
    trio.ready().await.map_err(broken)?;
    let read = read_records(&trio.client(), run).await.filter(|(read, _)| read.complete);
    let reason = "the log could not be read after the faults were over".to_owned();
    read.ok_or(Failure { began: true, reason })
}
