//! How long it took until messages were stored again.

use std::{fmt, time::Duration};

use crate::{
    history::Micros,
    nemesis::{Done, Fault, Victim},
};

/// Times from the end of a kind of harm to the first receipt after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recovery {
    /// In order of length.
    times: Vec<Duration>,
    /// The next fault began before there was a receipt: how long it would have taken is not known.
    hidden: usize,
}

impl Recovery {
    /// After each fault that is `wanted`, from the moment that undoing it began. `receipts` are the
    /// times of all receipts, in order; one counts if it came when the fault was undone.
    pub(super) fn new(
        receipts: &[Micros],
        faults: &[Done],
        wanted: impl Fn(&Done) -> bool,
    ) -> Self {
        let mut recovery = Self::default();
        for (at, done) in faults.iter().enumerate().filter(|(_, done)| wanted(done)) {
            let first = receipts.partition_point(|receipt| *receipt <= done.ended);
            let next_fault = faults.get(at + 1).map_or(Micros::MAX, |next| next.began);
            match receipts.get(first) {
                Some(receipt) if *receipt <= next_fault => {
                    recovery.times.push(Duration::from_micros(receipt - done.undone));
                }
                // The run was over.
                None if next_fault == Micros::MAX => {}
                Some(_) | None => recovery.hidden += 1,
            }
        }
        recovery.times.sort_unstable();
        recovery
    }

    /// At least this part of the times is not longer.
    fn quantile(&self, part: f64) -> Duration {
        let rank = (self.times.len() as f64 * part).ceil() as usize;
        self.times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.times.is_empty() {
            return f.write_str("not measured");
        }
        let [half, most, all] = [0.5, 0.99, 1.0].map(|part| self.quantile(part).as_secs_f64());
        write!(f, "{half:.2} s p50, {most:.2} s p99, {all:.2} s at most")?;
        write!(f, " ({} times", self.times.len())?;
        if self.hidden > 0 {
            write!(f, "; {} more ran into the next fault", self.hidden)?;
        }
        f.write_str(")")
    }
}

pub(super) fn is_kill_of_logging(done: &Done) -> bool {
    (done.fault, done.victim) == (Fault::Kill, Victim::Logging)
}

pub(super) fn is_freeze(done: &Done) -> bool {
    done.fault == Fault::Freeze
}

/// Whether it let nothing be stored while it lasted.
pub(super) fn is_partition(done: &Done) -> bool {
    use Fault::{BlackHole, DropReplies, DropRequests, Flap, Hold};
    matches!(done.fault, Hold | DropRequests | DropReplies | BlackHole | Flap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::Harm;

    fn kill(began: Micros, undone: Micros, ended: Micros) -> Done {
        let (fault, victim, harm) = (Fault::Kill, Victim::Logging, Harm::Kill);
        Done { fault, victim, harm, began, undone, ended }
    }

    #[test]
    fn the_first_receipt_after_the_end_counts_from_the_start_of_undoing() {
        let faults = [kill(10, 20, 30), kill(100, 200, 300), kill(400, 500, 600)];
        // The one at 25 was on its way when the service was killed; the second kill has none before
        // the third, which has none because the run was over.
        let recovery = Recovery::new(&[5, 25, 90, 450], &faults, is_kill_of_logging);
        assert_eq!(recovery.times, [Duration::from_micros(70)]);
        assert_eq!(recovery.hidden, 1);
        let text = recovery.to_string();
        assert!(text.ends_with("(1 times; 1 more ran into the next fault)"), "{text}");
        assert_eq!(Recovery::default().to_string(), "not measured");
    }

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let times: Vec<_> = (1..=100).map(Duration::from_secs).collect();
        let recovery = Recovery { times, hidden: 0 };
        let found = [0.5, 0.99, 1.0].map(|part| recovery.quantile(part).as_secs());
        assert_eq!(found, [50, 99, 100]);
    }
}
