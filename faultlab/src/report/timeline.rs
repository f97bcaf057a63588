//! Throughput and outages over time.

use std::time::Duration;

use crate::history::{History, Micros, Outcome};

/// What one bar of the timeline stands for.
pub(super) const BAR: Duration = Duration::from_millis(200);

/// A pause without a receipt that counts as an outage on the picture.
const OUTAGE_MICROS_MIN: Micros = 500_000;

/// Receipts over time, while there was load.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    /// Receipts in each 200 ms.
    pub(super) bars: Vec<usize>,
    /// Pauses without a receipt, by start and end.
    pub(super) outages: Vec<(Micros, Micros)>,
    longest: Micros,
}

impl Timeline {
    pub(super) fn new(history: &History, duration: Duration) -> Self {
        let end = Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX);
        let acknowledged = |outcome: &Outcome| matches!(outcome, Outcome::Acknowledged { .. });
        let receipts = history.attempts.iter().filter(|attempt| acknowledged(&attempt.outcome));
        let mut times: Vec<Micros> =
            receipts.map(|attempt| attempt.ended).filter(|ended| *ended <= end).collect();
        times.sort_unstable();

        let bar = |time: Micros| usize::try_from(u128::from(time) / BAR.as_micros()).unwrap_or(0);
        let mut bars = vec![0; bar(end) + 1];
        for time in &times {
            bars[bar(*time)] += 1;
        }
        // The run begins with all well: what comes before the first receipt is warming up.
        times.push(end);
        let pauses: Vec<_> = times.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let longest = pauses.iter().map(|(from, to)| to - from).max().unwrap_or(end);
        let outages = pauses.into_iter().filter(|(from, to)| to - from >= OUTAGE_MICROS_MIN);
        Self { bars, outages: outages.collect(), longest }
    }

    pub(super) const fn longest_outage(&self) -> Duration {
        Duration::from_micros(self.longest)
    }
}
