//! Warm-up and measurement.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use faultlab::open_loop::{Measured, Plan};
use indicatif::HumanCount;
use oncelog::limits;
use tokio_util::sync::CancellationToken;

use super::{args::Settings, report::Report};
use crate::terminal::{INTERVAL, ProgressLine};

/// How late a message may be sent in an open loop. Below that it only counts as slow: every message that
/// is due has to be a part of the figures, however long it waits for a connection.
const LATENESS_MAX: Duration = Duration::from_secs(10);

/// Longer than any facade takes, unless it hangs.
const ANSWER_TIMEOUT: Duration = limits::TOTAL_TIMEOUT.saturating_mul(2);

/// Loads `target` as `settings` say; `stop` ends it early.
///
/// # Errors
/// The connections could not be opened.
pub(super) async fn run(
    settings: Settings,
    target: SocketAddr,
    stop: &CancellationToken,
) -> io::Result<Report> {
    let plan = |duration, first| Plan {
        text_bytes: settings.size,
        first,
        timeout: ANSWER_TIMEOUT,
        lateness_max: LATENESS_MAX,
        // One part: the course over time is not shown.
        slice: Duration::MAX,
        ..Plan::new(target, settings.arrivals(), duration, settings.connections)
    };
    let warmup = if settings.warmup.is_zero() {
        None
    } else {
        Some(phase("warming up", &plan(settings.warmup, 0), stop).await?)
    };
    let first = warmup.as_ref().map_or(0, Measured::end);
    let measured = if stop.is_cancelled() {
        None
    } else {
        Some(phase("measuring", &plan(settings.duration, first), stop).await?)
    };
    let interrupted = stop.is_cancelled();
    Ok(Report { settings, target, warmup, measured, interrupted })
}

/// Runs `plan`, and shows how far it is.
async fn phase(name: &str, plan: &Plan, stop: &CancellationToken) -> io::Result<Measured> {
    let line = ProgressLine::new();
    let mut running = plan.start().await?;
    let started = Instant::now();
    let mut shown = (started, 0);
    loop {
        tokio::select! {
            settled = running.settled() => {
                settled?;
                return Ok(running.measured());
            }
            () = stop.cancelled(), if !running.is_stopped() => running.stop(),
            () = tokio::time::sleep(INTERVAL) => {
                let (now, counts) = (Instant::now(), running.counts());
                let lately = (counts.accepted - shown.1) as f64 / (now - shown.0).as_secs_f64();
                shown = (now, counts.accepted);
                line.show(format_args!(
                    "{name}, {:.0} of {:.0} s: {} a second, {} acknowledged, {} not stored, {} others",
                    started.elapsed().as_secs_f64(),
                    plan.duration.as_secs_f64(),
                    HumanCount(lately as u64),
                    HumanCount(counts.accepted),
                    HumanCount(counts.refused),
                    HumanCount(counts.unknown + counts.not_understood + counts.not_sent),
                ));
            }
        }
    }
}
