//! The results of all attacks: a line each, and goals over all of them.

use std::time::Duration;

use super::{abuse::Connections, scenario::Results};
use crate::{experiments::Goals, resources::Resource};

/// Differences below this are the noise of a small machine that runs services and abusers together.
const NOISE: Duration = Duration::from_millis(5);

/// A new client, during or after an attack, is served within this time.
const SERVED: Duration = Duration::from_secs(1);

/// The memory each service may use under attack.
const RESIDENT_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// How late the drop of an abuser may be observed.
const LATE: Duration = Duration::from_secs(1);

/// The share of good posts that the p99 covers.
const PART: f64 = 0.99;

#[derive(Debug, Default)]
pub(super) struct Table {
    findings: Vec<Results>,
}

/// The latency that a good post may have, from what it was before the attack.
fn bound(alone: Duration) -> Duration {
    (alone * 2).max(alone + NOISE)
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

impl Table {
    /// The head of the columns.
    pub(super) fn head() -> String {
        format!(
            "{:<38}{:>9}{:>9}{:>9}{:>7}{:>9}{:>7}{:>9}{:>9}{:>9}{:>7}{:>9}",
            "attack",
            "alone ms",
            "p99 ms",
            "new ms",
            "failed",
            "peak MB",
            "files",
            "threads",
            "dropped",
            "after s",
            "held",
            "again ms"
        )
    }

    /// Adds the results of one attack, and formats them as a line.
    pub(super) fn add(&mut self, name: &str, finding: Results) -> String {
        let sum = |of: fn(&Connections) -> usize| {
            finding.connections.iter().map(|(_, it)| of(it)).sum::<usize>()
        };
        let longest =
            finding.connections.iter().map(|(_, it)| it.longest).max().unwrap_or_default();
        let mut line = format!(
            "{name:<38}{:>9}{:>9}{:>9}{:>7}{:>9}{:>7}{:>9}{:>9}{:>9.1}{:>7}{:>9}",
            ms(finding.alone.latencies.quantile(PART)),
            ms(finding.steady.latencies.quantile(PART)),
            ms(finding.new_clients.latencies.quantile(1.0)),
            finding.failures().count(),
            finding.usage.get(Resource::Memory) / 1_000_000,
            finding.usage.get(Resource::Files),
            finding.usage.get(Resource::Threads),
            sum(|it| it.dropped),
            longest.as_secs_f64(),
            sum(|it| it.held),
            finding.recovered.map_or("never".to_owned(), ms),
        );
        if let Some(failure) = finding.failures().next() {
            line += &format!("\n    {failure}");
        }
        self.findings.push(finding);
        line
    }

    fn count(&self, holds: impl Fn(&Results) -> bool) -> usize {
        self.findings.iter().filter(|finding| holds(finding)).count()
    }

    /// The goals over all attacks.
    pub(super) fn goals(&self) -> Goals {
        let mut goals = Goals::default();
        let all = self.findings.len();
        let in_time = self.count(|finding| {
            finding.steady.latencies.quantile(PART) <= bound(finding.alone.latencies.quantile(PART))
        });
        let mut all_of = |figure, found: usize| {
            goals.note(figure, format!("{all} of {all}"), found, found == all && all > 0);
        };
        all_of("attacks with a good p99 at most doubled", in_time);
        all_of(
            "attacks with new clients served within 1 s",
            self.count(|finding| {
                finding.new_clients.latencies.count() > 0
                    && finding.new_clients.latencies.quantile(1.0) <= SERVED
            }),
        );
        all_of("attacks whose abusers were connected", self.count(took_place));
        all_of("attacks whose abusers were dropped in time", self.count(dropped_in_time));
        all_of(
            "attacks after which a new client came in 1 s",
            self.count(|finding| finding.recovered.is_some_and(|time| time <= SERVED)),
        );
        let failures =
            self.findings.iter().map(|finding| finding.failures().count()).sum::<usize>();
        goals.note("failures of good clients", 0, failures, failures == 0);
        let posts: u64 = self.findings.iter().map(|finding| finding.steady.latencies.count()).sum();
        goals.note("posts of good clients", "some", posts, posts > 0);
        let memory = self.findings.iter().map(|finding| finding.usage.get(Resource::Memory));
        let most = memory.max().unwrap_or_default();
        goals.note(
            "most memory of an attacked service",
            format!("{} MB", RESIDENT_BYTES_MAX / 1_000_000),
            format!("{} MB", most / 1_000_000),
            most <= RESIDENT_BYTES_MAX,
        );
        goals
    }
}

/// Whether each attack had a connection: abusers without one do no harm.
fn took_place(finding: &Results) -> bool {
    finding.connections.iter().all(|(_, it)| it.dropped + it.held > 0)
}

/// Whether no connection of an abuser grew older than its attack may.
fn dropped_in_time(finding: &Results) -> bool {
    finding
        .connections
        .iter()
        .all(|(attack, it)| attack.dropped_within.is_none_or(|within| it.age() <= within + LATE))
}
