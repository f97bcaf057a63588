//! What a run came to.

use std::{collections::BTreeMap, fmt, time::Duration};

use hdrhistogram::Histogram;

use super::{Counts, Fate};

/// Digits of a latency that are kept: an error of at most 0.1 %.
const DIGITS: u8 = 3;

/// Digits in a part of a run: an error of at most 1 %. There are many parts.
const SLICE_DIGITS: u8 = 2;

/// Longer ones count as this: a histogram grows with its longest.
const LONGEST: Duration = Duration::from_secs(3600);

/// A distribution of latencies, in microseconds.
#[derive(Debug, Clone)]
pub struct Latencies(Option<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        Self::with_digits(DIGITS)
    }
}

impl Latencies {
    fn with_digits(digits: u8) -> Self {
        // It grows as far as it must. No count of digits below six is refused.
        Self(Histogram::new(digits).ok())
    }

    pub(crate) fn note(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.min(LONGEST).as_micros()).unwrap_or_default();
        if let Some(histogram) = &mut self.0 {
            // It resizes itself, so no value is too large.
            let _ = histogram.record(micros);
        }
    }

    /// Adds those of `other`.
    pub fn add(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // It resizes itself, so it cannot be too small.
            let _ = histogram.add(other);
        }
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The latency that `share` of all (0 to 1) do not exceed; zero if there is none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let micros = self.0.as_ref().map_or(0, |histogram| histogram.value_at_quantile(share));
        Duration::from_micros(micros)
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.0.as_ref().map_or(0, Histogram::max))
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |latency: Duration| latency.as_secs_f64() * 1e3;
        let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|q| millis(self.quantile(q)));
        let max = millis(self.max());
        write!(f, "p50 {p50:.1} p90 {p90:.1} p99 {p99:.1} p99.9 {p999:.1} max {max:.1} ms")
    }
}

/// A part of a run: the messages that were due in it.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Those that were accepted.
    pub accepted: Latencies,
    /// How many were refused.
    pub refused: u64,
    /// How many ended in any other way.
    pub other: u64,
}

impl Default for Slice {
    fn default() -> Self {
        Self { accepted: Latencies::with_digits(SLICE_DIGITS), refused: 0, other: 0 }
    }
}

/// The figures of one run.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// The number of the first message.
    pub first: u64,
    /// What became of each message, by number from [`Measured::first`].
    pub fates: Vec<Fate>,
    /// How many messages ended in which way.
    pub counts: Counts,
    /// From the first message sent to the last one sent; answers are not waited for.
    pub took: Duration,
    /// From the moment a message was due to its receipt.
    pub accepted: Latencies,
    /// From the moment a message was due to the answer that it is not stored.
    pub refused: Latencies,
    /// From the moment a message was due to the moment it was sent: what the generator itself adds.
    pub lateness: Latencies,
    /// Answers by HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that were sent and not answered: broken connections, timeouts, nonsense.
    pub errors: u64,
    /// Refusals that do not say when to come again.
    pub without_retry_after: u64,
    /// Length of one of the `slices`.
    pub slice: Duration,
    /// The course over time.
    pub slices: Vec<Slice>,
}

impl Measured {
    /// Adds all figures of `other` but the fates.
    pub(super) fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.accepted.add(&other.accepted);
        self.refused.add(&other.refused);
        self.lateness.add(&other.lateness);
        self.errors += other.errors;
        self.without_retry_after += other.without_retry_after;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        if other.slices.len() > self.slices.len() {
            self.slices.resize_with(other.slices.len(), Slice::default);
        }
        for (sum, slice) in self.slices.iter_mut().zip(&other.slices) {
            sum.accepted.add(&slice.accepted);
            sum.refused += slice.refused;
            sum.other += slice.other;
        }
    }

    /// The number of the message that comes next after this run.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.fates.len() as u64
    }

    /// Messages that ended so.
    #[must_use]
    pub fn count(&self, fate: Fate) -> u64 {
        self.fates.iter().filter(|it| **it == fate).count() as u64
    }

    /// Messages that were due and not sent: the generator could not keep up, or had no connection.
    #[must_use]
    pub fn not_sent(&self) -> u64 {
        self.count(Fate::NotSent)
    }

    /// Messages a second that were sent.
    #[must_use]
    pub fn sent_per_second(&self) -> f64 {
        (self.fates.len() as u64 - self.not_sent()) as f64 / self.took.as_secs_f64()
    }

    /// Messages a second that were accepted.
    #[must_use]
    pub fn accepted_per_second(&self) -> f64 {
        self.accepted.count() as f64 / self.took.as_secs_f64()
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "sent {:.0}/s, accepted {:.0}/s, not sent {}, errors {}, statuses {:?}",
            self.sent_per_second(),
            self.accepted_per_second(),
            self.not_sent(),
            self.errors,
            self.statuses
        )?;
        writeln!(f, "  accepted  {}", self.accepted)?;
        writeln!(f, "  refused   {}", self.refused)?;
        write!(f, "  lateness  {}", self.lateness)
    }
}
