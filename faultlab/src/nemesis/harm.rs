//! Does what was planned, and undoes it.

use std::{
    fmt,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{Fault, Harm, Planned, Victim};
use crate::{
    cluster::Cluster,
    history::Micros,
    load::Run,
    processes::{Process, ProcessError},
    proxy::{Mode, Proxy},
};

/// A fault that has happened. Shown as a line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What kind.
    pub fault: Fault,
    /// To whom.
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
/// It may be dropped at any time; [`Cluster::heal`] undoes what it left.
///
/// # Errors
/// A killed service did not come up again.
pub async fn harm(
    trio: &mut Cluster,
    plan: &[Planned],
    duration: Duration,
    run: &Run,
    done: &mut Vec<Done>,
) -> Result<(), ProcessError> {
    let mut last_end = run.origin();
    for planned in plan {
        let due = (run.origin() + planned.at).max(last_end + planned.pause);
        tokio::time::sleep_until(due.into()).await;
        if run.origin().elapsed() >= duration {
            break;
        }
        let Planned { fault, victim, harm, .. } = *planned;
        let began = run.now();
        let at = done.len();
        done.push(Done { fault, victim, harm, began, undone: began, ended: began });
        run.faults.fetch_add(1, Ordering::Relaxed);
        begin(trio, planned)?;
        go_on(trio, planned).await;
        done[at].undone = run.now();
        undo(trio, planned).await?;
        done[at].ended = run.now();
        last_end = Instant::now();
    }
    Ok(())
}

fn begin(trio: &mut Cluster, planned: &Planned) -> Result<(), ProcessError> {
    match planned.harm {
        Harm::Kill => process(trio, planned.victim).map_or(Ok(()), Process::kill)?,
        Harm::Freeze => process(trio, planned.victim).map_or(Ok(()), |process| process.freeze())?,
        Harm::Cut(cut) => {
            if let Some(proxy) = proxy(trio, planned.victim) {
                proxy.cut(cut);
            }
        }
        Harm::Bytes(mode) => set_mode(trio, planned.victim, mode),
        Harm::Flap { .. } => set_mode(trio, planned.victim, Mode::BlackHole),
    }
    Ok(())
}

/// Returns after as long as it lasts.
async fn go_on(trio: &Cluster, planned: &Planned) {
    let end = tokio::time::Instant::now() + planned.lasts;
    if let Harm::Flap { each } = planned.harm {
        let modes = [Mode::Pass, Mode::BlackHole].into_iter().cycle();
        let mut next = tokio::time::Instant::now() + each;
        for mode in modes {
            if next >= end {
                break;
            }
            tokio::time::sleep_until(next).await;
            set_mode(trio, planned.victim, mode);
            next += each;
        }
    }
    tokio::time::sleep_until(end).await;
}

async fn undo(trio: &mut Cluster, planned: &Planned) -> Result<(), ProcessError> {
    match (planned.harm, planned.victim) {
        (Harm::Kill, Victim::Facade) => trio.restart_facade().await,
        (Harm::Kill, Victim::Logging) => trio.restart_logging().await,
        (Harm::Kill, Victim::Messages) => trio.restart_messages().await,
        (Harm::Freeze, victim) => process(trio, victim).map_or(Ok(()), |process| process.resume()),
        (Harm::Bytes(_) | Harm::Flap { .. }, victim) => {
            set_mode(trio, victim, Mode::Pass);
            Ok(())
        }
        (Harm::Cut(_), _) | (Harm::Kill, Victim::Link(_)) => Ok(()),
    }
}

const fn process(trio: &mut Cluster, victim: Victim) -> Option<&mut Process> {
    match victim {
        Victim::Facade => Some(&mut trio.facade),
        Victim::Logging => Some(&mut trio.logging),
        Victim::Messages => Some(&mut trio.messages),
        Victim::Link(_) => None,
    }
}

fn proxy(trio: &Cluster, victim: Victim) -> Option<&Proxy> {
    match victim {
        Victim::Link(link) => Some(trio.link(link)),
        Victim::Facade | Victim::Logging | Victim::Messages => None,
    }
}

fn set_mode(trio: &Cluster, victim: Victim, mode: Mode) {
    if let Some(proxy) = proxy(trio, victim) {
        proxy.set_mode(mode);
    }
}
