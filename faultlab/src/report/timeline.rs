//! Throughput and outages over time.

use std::time::Duration;

use crate::history::{History, Micros};

/// What one bar of the timeline stands for, at least.
const BAR_MIN: Duration = Duration::from_millis(200);

/// More bars than this cannot be told apart.
const BARS_MAX: u32 = 600;

/// A pause without a receipt that counts as an outage on the picture.
const OUTAGE_MICROS_MIN: Micros = 500_000;

/// Receipts over time, while there was load.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    /// What one bar stands for.
    pub(super) bar: Duration,
    /// Receipts in each of them.
    pub(super) bars: Vec<usize>,
    /// Pauses without a receipt, by start and end.
    pub(super) outages: Vec<(Micros, Micros)>,
    /// When there was one, in order.
    pub(super) receipts: Vec<Micros>,
    longest: Micros,
}

impl Timeline {
    pub(super) fn new(history: &History, duration: Duration) -> Self {
        let end = Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX);
        let receipts = history.attempts.iter().filter(|attempt| attempt.outcome.is_receipt());
        let mut receipts: Vec<Micros> = receipts.map(|attempt| attempt.ended).collect();
        receipts.sort_unstable();
        let under_load = &receipts[..receipts.partition_point(|ended| *ended <= end)];

        let bar = BAR_MIN.max(duration / BARS_MAX);
        let place = |time: Micros| usize::try_from(u128::from(time) / bar.as_micros()).unwrap_or(0);
        let mut bars = vec![0; place(end) + 1];
        for time in under_load {
            bars[place(*time)] += 1;
        }
        // The run begins with all well: what comes before the first receipt is warming up.
        let ends = under_load.iter().skip(1).chain([&end]);
        let pauses: Vec<_> = under_load.iter().copied().zip(ends.copied()).collect();
        let longest = pauses.iter().map(|(from, to)| to - from).max().unwrap_or(end);
        let outages = pauses.into_iter().filter(|(from, to)| to - from >= OUTAGE_MICROS_MIN);
        let outages = outages.collect();
        Self { bar, bars, outages, receipts, longest }
    }

    pub(super) const fn longest_outage(&self) -> Duration {
        Duration::from_micros(self.longest)
    }
}
