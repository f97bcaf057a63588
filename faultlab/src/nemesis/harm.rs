//! Does what was planned, and undoes it.

use std::{fmt, sync::atomic::Ordering, time::Duration};

use super::{Fault, Harm, Planned, Victim};
use crate::{
    cluster::Cluster,
    history::Micros,
    load::Run,
    processes::{Process, ProcessError},
    proxy::Mode,
};

/// A fault that has happened. Shown as a line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What kind.
    pub fault: Fault,
    /// On what.
    pub victim: Victim,
    /// What exactly.
    pub harm: Harm,
    /// When it was done.
    pub began: Micros,
    /// When undoing it began, such as the start of a killed service.
    pub undone: Micros,
    /// When it was undone, such as that the service accepts work again.
    pub ended: Micros,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, victim, harm, began, undone, ended } = self;
        let [began, undone, ended] = [began, undone, ended].map(|at| *at as f64 / 1e6);
        write!(f, "{began:.3} s to {ended:.3} s (undone at {undone:.3} s): ")?;
        write!(f, "{fault}, {victim}: {harm:?}")
    }
}

/// Carries out `plan` until its end or until `duration` is over, and notes what was done in `done`.
/// It may be dropped at any time; [`Cluster::restore`] undoes what it left.
///
/// # Errors
/// A killed service did not come up again.
///
/// # Panics
/// `plan` has a fault that only a simulated machine can take.
pub async fn harm(
    cluster: &mut Cluster,
    plan: &[Planned],
    duration: Duration,
    run: &Run,
    done: &mut Vec<Done>,
) -> Result<(), ProcessError> {
    let mut last_end = Duration::ZERO;
    for planned in plan {
        tokio::time::sleep_until((run.origin() + planned.due(last_end)).into()).await;
        if run.origin().elapsed() >= duration {
            break;
        }
        let Planned { fault, victim, harm, .. } = *planned;
        let began = run.now();
        let at = done.len();
        done.push(Done { fault, victim, harm, began, undone: began, ended: began });
        run.faults.fetch_add(1, Ordering::Relaxed);
        begin(cluster, planned)?;
        go_on(cluster, planned).await;
        done[at].undone = run.now();
        undo(cluster, planned).await?;
        done[at].ended = run.now();
        last_end = run.origin().elapsed();
    }
    Ok(())
}

fn begin(cluster: &mut Cluster, planned: &Planned) -> Result<(), ProcessError> {
    match planned.harm {
        Harm::Kill => process(cluster, planned.victim).map_or(Ok(()), Process::kill)?,
        Harm::Freeze => process(cluster, planned.victim).map_or(Ok(()), |it| it.freeze())?,
        Harm::Cut(cut) => {
            if let Victim::Link(link) = planned.victim {
                cluster.link(link).cut(cut);
            }
        }
        Harm::Bytes(mode) => set_mode(cluster, planned.victim, mode),
        Harm::Flap { .. } => set_mode(cluster, planned.victim, Mode::BlackHole),
        Harm::Machine { .. } => panic!("{} needs a simulated machine", planned.fault),
    }
    Ok(())
}

/// Returns after as long as it lasts.
async fn go_on(cluster: &Cluster, planned: &Planned) {
    let end = tokio::time::Instant::now() + planned.lasts;
    if let Harm::Flap { each } = planned.harm {
        let mut next = tokio::time::Instant::now() + each;
        let mut modes = [Mode::Pass, Mode::BlackHole].into_iter().cycle();
        while next < end
            && let Some(mode) = modes.next()
        {
            tokio::time::sleep_until(next).await;
            set_mode(cluster, planned.victim, mode);
            next += each;
        }
    }
    tokio::time::sleep_until(end).await;
}

async fn undo(cluster: &mut Cluster, planned: &Planned) -> Result<(), ProcessError> {
    match (planned.harm, planned.victim) {
        (Harm::Kill, Victim::Facade) => cluster.restart_facade().await,
        (Harm::Kill, Victim::Logging) => cluster.restart_logging().await,
        (Harm::Kill, Victim::Messages) => cluster.restart_messages().await,
        (Harm::Freeze, victim) => process(cluster, victim).map_or(Ok(()), |it| it.resume()),
        (Harm::Bytes(_) | Harm::Flap { .. }, victim) => {
            set_mode(cluster, victim, Mode::Pass);
            Ok(())
        }
        (Harm::Cut(_) | Harm::Machine { .. }, _) | (Harm::Kill, Victim::Link(_) | Victim::Disk) => {
            Ok(())
        }
    }
}

const fn process(cluster: &mut Cluster, victim: Victim) -> Option<&mut Process> {
    match victim {
        Victim::Facade => Some(&mut cluster.facade),
        Victim::Logging => Some(&mut cluster.logging),
        Victim::Messages => Some(&mut cluster.messages),
        Victim::Link(_) | Victim::Disk => None,
    }
}

fn set_mode(cluster: &Cluster, victim: Victim, mode: Mode) {
    if let Victim::Link(link) = victim {
        cluster.link(link).set_mode(mode);
    }
}
