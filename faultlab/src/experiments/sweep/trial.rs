//! One point: the workload under harm, a restart without it, and a check.

use std::{
    ffi::OsString,
    fs, io,
    path::Path,
    process::ExitStatus,
    time::{Duration, SystemTime},
};

use super::point::{Expected, Injection};
use crate::{
    checker::broken,
    cluster::Cluster,
    experiments::NotRun,
    history::{Attempt, Micros, Record},
    load::{Client, Ledger, read_whole},
};

/// From the end of the workload to the end of a process that must stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Longer than the journal waits before it seals its end.
const IDLE: Duration = Duration::from_millis(70);

/// The exit code that says that the disk failed.
const DISK_FAILED: i32 = 74;

/// Times a post is repeated in the end.
const SETTLE_TRIES: usize = 5;

/// Violations that are reported for one point.
const WRONG_MAX: usize = 3;

/// The result of one point.
#[derive(Debug, Clone)]
pub(super) struct PointResult {
    /// Whether the call was reached, so that there was harm.
    pub(super) reached: bool,
    /// Descriptions of what is wrong. None: it recovered.
    pub(super) wrong: Vec<String>,
    /// Receipts for a batch whose write or sync had failed, or for a later one.
    pub(super) acks_after_error: usize,
    /// Messages with a receipt in the end.
    pub(super) acknowledged: usize,
}

/// Posts one after another, then several at once, across some segments.
pub(super) async fn workload(ledger: &Ledger, client: &Client, name: &str) {
    let sizes = [10, 100, 30_000, 10, 30_000, 100];
    for (number, size) in sizes.into_iter().enumerate() {
        post(ledger, client, &format!("{name}-{number}"), size).await;
        if number == 1 {
            tokio::time::sleep(IDLE).await;
        }
    }
    for round in 0..2 {
        let one = async |number: usize| {
            post(ledger, client, &format!("{name}-round-{round}-{number}"), 9000).await;
        };
        tokio::join!(one(0), one(1), one(2), one(3));
    }
    for number in 6..8 {
        post(ledger, client, &format!("{name}-{number}"), 10).await;
    }
}

async fn post(ledger: &Ledger, client: &Client, name: &str, size: usize) {
    let message = format!("{name} {}", "x".repeat(size));
    ledger.post(client, &message, Some(name)).await;
}

/// How a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Its exit code; none, if it was killed.
    pub(super) code: Option<i32>,
}

impl End {
    fn of(status: ExitStatus) -> Self {
        Self { code: status.code() }
    }
}

/// What happened to the harmed service.
struct Harmed {
    end: Option<End>,
    /// When the call failed, if it did.
    failed: Option<Micros>,
    restarted: Micros,
}

/// One point.
pub(super) struct Trial<'a> {
    /// What is harmed, and how.
    pub(super) injection: Injection,
    /// The service without harm.
    pub(super) program: &'a [OsString],
    /// Where its data is.
    pub(super) dir: &'a Path,
    /// What is there from before.
    pub(super) ledger: &'a Ledger,
}

impl Trial<'_> {
    /// Runs the workload on the harmed service that `cluster` has, and checks what is left of it. `start` says
    /// whether it came up.
    pub(super) async fn run(
        &self,
        cluster: &mut Cluster,
        start: Result<(), End>,
    ) -> Result<PointResult, NotRun> {
        let Self { injection, ledger, .. } = *self;
        let harmed = self.harm(cluster, start).await?;
        let client = cluster.client();
        ledger.settle(&client, SETTLE_TRIES).await;
        ledger.repeat(&client).await;
        let log = read_whole(&client, ledger.run()).await;
        cluster.logging.kill()?;

        let reached = match injection.expected() {
            Expected::Killed => harmed.end == Some(End { code: None }),
            Expected::Stops | Expected::StopsOrRefuses | Expected::GoesOn => {
                harmed.failed.is_some()
            }
        };
        let mut wrong: Vec<String> =
            wrong_end(injection, reached, harmed.end).into_iter().collect();
        let attempts = ledger.history().attempts;
        let mut acks_after_error = 0;
        match log {
            None => wrong.push("the log could not be read after the restart".to_owned()),
            Some(log) => {
                let violations = broken(&ledger.history(), &log);
                wrong.extend(violations.iter().map(|violation| {
                    format!("{violation:?}").chars().take(60).collect::<String>()
                }));
                if let Some(failed) = harmed.failed
                    && harmed.end == Some(End { code: Some(DISK_FAILED) })
                {
                    acks_after_error = late_receipts(&attempts, &log, failed, harmed.restarted);
                }
            }
        }
        let unsettled = attempts.iter().filter(|attempt| !is_settled(attempt, &attempts)).count();
        if unsettled > 0 {
            wrong.push(format!("{unsettled} posts were never answered with a receipt"));
        }
        wrong.truncate(WRONG_MAX);
        Ok(PointResult { reached, wrong, acks_after_error, acknowledged: ledger.acknowledged() })
    }

    /// Lets the workload run into the harm, and starts the service again without.
    async fn harm(&self, cluster: &mut Cluster, start: Result<(), End>) -> Result<Harmed, NotRun> {
        let Self { injection, program, dir, ledger } = *self;
        let client = cluster.client();
        let began = (SystemTime::now(), ledger.run().now());
        let mut end = start.err();
        let work = workload(ledger, &client, "swept");
        tokio::pin!(work);
        let mut over = false;
        if end.is_none() {
            tokio::select! {
                () = &mut work => over = true,
                ended = cluster.logging.ended(Duration::MAX) => end = ended?.map(End::of),
            }
        }
        if over && injection.expected() == Expected::Stops && injected(dir)?.is_some() {
            end = cluster.logging.ended(STOP_TIMEOUT).await?.map(End::of);
        }
        let restarted = ledger.run().now();
        cluster.replace_logging(program.to_vec(), dir).await?;
        if !over {
            work.await;
        }
        let failed = injected(dir)?.map(|at| began.1 + micros_since(began.0, at));
        Ok(Harmed { end, failed, restarted })
    }
}

fn is_settled(attempt: &Attempt, all: &[Attempt]) -> bool {
    all.iter().any(|other| other.message == attempt.message && other.outcome.is_receipt())
}

fn wrong_end(injection: Injection, reached: bool, end: Option<End>) -> Option<String> {
    let disk_failed = Some(End { code: Some(DISK_FAILED) });
    let right = match injection.expected() {
        _ if !reached => true,
        Expected::Killed => true,
        Expected::Stops => end == disk_failed,
        Expected::StopsOrRefuses => end.is_none() || end == disk_failed,
        Expected::GoesOn => end.is_none(),
    };
    (!right).then(|| format!("the service ended with {end:?}"))
}

/// Receipts that came after the call had failed, and before the service was started again, although
/// the message is not from before the failure.
fn late_receipts(attempts: &[Attempt], log: &[Record], failed: Micros, restarted: Micros) -> usize {
    let place = |message: &str| log.iter().position(|record| record.message == message);
    let in_time = |attempt: &&Attempt| attempt.ended < restarted && attempt.outcome.is_receipt();
    let without = attempts.iter().filter(|attempt| attempt.ended >= restarted);
    // Of posts that went together some may have been stored before the failure: those at the front.
    let first_without = without.filter_map(|attempt| place(&attempt.message)).min();
    let late = attempts.iter().filter(in_time).filter(|attempt| {
        let is_alone = !attempt.message.contains("round");
        let alone_and_late = is_alone && attempt.ended > failed;
        let overtakes = place(&attempt.message) > first_without && first_without.is_some();
        alone_and_late || overtakes && attempt.ended > failed
    });
    late.count()
}

/// When the harmed call was made, as the tracer saw it.
fn injected(dir: &Path) -> io::Result<Option<SystemTime>> {
    let trace = match fs::read_to_string(dir.join("trace")) {
        Ok(trace) => trace,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let line = trace.lines().find(|line| line.contains("INJECTED") || line.contains("DELAYED"));
    let time = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    Ok(time.map(|time| SystemTime::UNIX_EPOCH + Duration::from_secs_f64(time)))
}

fn micros_since(began: SystemTime, at: SystemTime) -> Micros {
    let passed = at.duration_since(began).unwrap_or_default();
    Micros::try_from(passed.as_micros()).unwrap_or(Micros::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Outcome;

    fn attempt(message: &str, ended: Micros) -> Attempt {
        let outcome =
            Outcome::Acknowledged { uuid: message.to_owned(), sequence: 1, replayed: false };
        Attempt { message: message.to_owned(), key: None, invoked: 0, ended, outcome }
    }

    fn log(messages: &[&str]) -> Vec<Record> {
        let record = |(sequence, message): (u64, &&str)| Record {
            sequence,
            uuid: (*message).to_owned(),
            message: (*message).to_owned(),
        };
        (1..).zip(messages).map(record).collect()
    }

    #[test]
    fn a_receipt_between_failure_and_restart_is_late() {
        let attempts = [attempt("1", 10), attempt("2", 30), attempt("3", 90)];
        let log = log(&["1", "2", "3"]);
        assert_eq!(late_receipts(&attempts, &log, 20, 50), 1);
        assert_eq!(late_receipts(&attempts, &log, 40, 50), 0, "all are from before the failure");
    }

    #[test]
    fn only_posts_behind_the_failed_one_are_late() {
        let attempts = [attempt("round 1", 21), attempt("round 2", 90), attempt("round 3", 22)];
        let log = log(&["round 1", "round 2", "round 3"]);
        assert_eq!(late_receipts(&attempts, &log, 20, 50), 1, "the third overtook the second");
    }
}
