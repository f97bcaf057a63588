//! The figures.

use std::{collections::BTreeMap, fmt, net::SocketAddr, time::Duration};

use faultlab::open_loop::{Counts, Latencies, Measured};
use indicatif::HumanCount;
use serde_json::{Value, json};

use super::args::Settings;

/// The quantiles that are shown.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999)];

/// The result of a run. Shown as a table.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) settings: Settings,
    pub(super) target: SocketAddr,
    pub(super) warmup: Option<Measured>,
    /// None if it was ended during the warm-up.
    pub(super) measured: Option<Measured>,
    pub(super) interrupted: bool,
}

impl Report {
    /// Why the run failed, if nothing was measured.
    pub(super) fn shortfall(&self) -> Option<String> {
        let Some(measured) = &self.measured else {
            return Some("nothing was measured: it was ended during the warm-up".to_owned());
        };
        if measured.counts.accepted > 0 {
            return None;
        }
        let why = if measured.counts.not_understood > 0 {
            format!("; {} does not answer as a facade does", self.settings.url)
        } else {
            String::new()
        };
        Some(format!("nothing was acknowledged{why}"))
    }

    /// One object, with latencies in microseconds.
    pub(super) fn to_json(&self) -> Value {
        let Settings { url, connections, duration, warmup, rate, size, json: _ } = &self.settings;
        let settings = json!({
            "url": url.to_string(),
            "address": self.target,
            "loop": if rate.is_some() { "open" } else { "closed" },
            "connections": connections,
            "rate": rate,
            "size": size,
            "duration_s": duration.as_secs_f64(),
            "warmup_s": warmup.as_secs_f64(),
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "settings": settings,
            "interrupted": self.interrupted,
            "warmup": self.warmup.as_ref().map(|it| json!({"counts": counts(&it.counts)})),
            "measured": self.measured.as_ref().map(figures),
        })
    }

    fn how(&self) -> String {
        let Settings { connections, rate, size, .. } = &self.settings;
        let when = match rate {
            Some(rate) => format!("{} messages a second", HumanCount(u64::from(*rate))),
            None => "each posts when its last answer is there".to_owned(),
        };
        let bytes = HumanCount(*size as u64);
        let connections = HumanCount(*connections as u64);
        format!("{connections} connections, {when}, texts of {bytes} bytes")
    }

    fn rows(&self, measured: &Measured) -> Vec<(String, String)> {
        let mut rows: Vec<(String, String)> = Vec::new();
        let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
        let count = |number: u64| HumanCount(number).to_string();
        let Counts { accepted, refused, unknown, not_understood, not_sent } = measured.counts;
        row("acknowledged a second", count(per_second(accepted, measured.took) as u64));
        if let Some(rate) = self.settings.rate {
            let sent = count(per_second(measured.counts.sent(), measured.took).round() as u64);
            row("sent a second", format!("{sent} of {}", count(u64::from(rate))));
        }
        if accepted > 0 {
            for (name, share) in QUANTILES {
                let latency = measured.accepted.quantile(share);
                row(&format!("latency {}", name.replace('_', ".")), millis(latency));
            }
            row("latency max", millis(measured.accepted.max()));
        }
        if self.settings.rate.is_some() {
            row("sent after it was due, p99", millis(measured.lateness.quantile(0.99)));
        }
        row("acknowledged", count(accepted));
        row("surely not stored", count(refused));
        row("outcome unknown", count(unknown));
        row("answers not understood", count(not_understood));
        if not_sent > 0 || self.settings.rate.is_some() {
            row("due and not sent", count(not_sent));
        }
        let statuses: Vec<String> = measured
            .statuses
            .iter()
            .map(|(status, number)| format!("{status}: {}", count(*number)))
            .collect();
        row("answers by status", statuses.join(", "));
        row("measured for", format!("{:.1} s", measured.took.as_secs_f64()));
        let warmup = self.warmup.as_ref().map_or(0, |warmup| warmup.counts.accepted);
        row("acknowledged in the warm-up", count(warmup));
        rows
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.how())?;
        let Some(measured) = &self.measured else { return Ok(()) };
        writeln!(f, "\n")?;
        let rows = self.rows(measured);
        let rows: Vec<String> =
            rows.into_iter().map(|(name, value)| format!("{name:<32}{value}")).collect();
        write!(f, "{}", rows.join("\n"))?;
        if self.interrupted {
            write!(f, "\n\nIt was ended early.")?;
        }
        if measured.counts.not_sent > 0 {
            write!(
                f,
                "\n\nMessages that were not sent are in no latency: no connection was free or could \
                 be opened for too long."
            )?;
        }
        Ok(())
    }
}

fn figures(measured: &Measured) -> Value {
    let statuses: BTreeMap<String, u64> =
        measured.statuses.iter().map(|(status, count)| (status.to_string(), *count)).collect();
    json!({
        "seconds": measured.took.as_secs_f64(),
        "counts": counts(&measured.counts),
        "statuses": statuses,
        "per_second": {
            "sent": per_second(measured.counts.sent(), measured.took),
            "acknowledged": per_second(measured.counts.accepted, measured.took),
        },
        // Of those acknowledged, from the moment they were due.
        "latency_us": latencies(&measured.accepted),
        // Of those answered, from the moment they were due to the moment they were sent.
        "lateness_us": latencies(&measured.lateness),
    })
}

fn counts(counts: &Counts) -> Value {
    let Counts { accepted, refused, unknown, not_understood, not_sent } = *counts;
    json!({
        "sent": counts.sent(),
        "acknowledged": accepted,
        "not_stored": refused,
        "unknown": unknown,
        "not_understood": not_understood,
        "not_sent": not_sent,
    })
}

/// Nothing if there are none: a zero would look like a very good one.
fn latencies(latencies: &Latencies) -> Option<Value> {
    let micros = |latency: Duration| Value::from(latency.as_micros() as u64);
    let mut all: serde_json::Map<String, Value> = QUANTILES
        .iter()
        .map(|(name, share)| ((*name).to_owned(), micros(latencies.quantile(*share))))
        .collect();
    all.insert("max".to_owned(), micros(latencies.max()));
    (latencies.count() > 0).then_some(Value::Object(all))
}

fn per_second(count: u64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { count as f64 / took.as_secs_f64() }
}

fn millis(latency: Duration) -> String {
    format!("{:.3} ms", latency.as_secs_f64() * 1e3)
}
