//! The goals of an overload.

use std::time::Duration;

use super::{Results, course::BUSY};
use crate::{experiments::Goals, open_loop::Fate};

/// Share of the capacity that must still be stored.
const GOODPUT_MIN: f64 = 0.9;

/// How much slower an accepted message may be than at 80 % of the capacity.
const SLOWER_MAX: u32 = 2;

/// How long a refusal may take.
const REFUSAL_MAX: Duration = Duration::from_millis(100);

/// From the end of the overload to a service that is as before.
const RECOVERY_MAX: Duration = Duration::from_secs(2);

/// What the facade's memory may come to, all its buffers and connections included.
const FACADE_MEMORY_MAX: u64 = 256 * 1024 * 1024;

/// Share of the messages due that the generator must have sent, else it is no overload.
const SENT_MIN: f64 = 0.95;

impl Results {
    /// The figures beside their goals.
    #[must_use]
    pub fn goals(&self) -> Goals {
        let mut goals = Goals::default();
        let (overload, capacity) = (&self.overload, self.capacity);
        let factor = overload.sent_per_second() / capacity;
        let enough = self.factor * SENT_MIN;
        goals.note(
            "sent, as a multiple of the capacity",
            format!("at least {enough:.2}"),
            format!("{factor:.2} of {capacity:.0}/s"),
            factor >= enough,
        );
        let goodput = overload.accepted_per_second() / capacity;
        goals.note(
            "stored in overload, of the capacity",
            "at least 90 %",
            format!("{:.1} %", goodput * 100.0),
            goodput >= GOODPUT_MIN,
        );
        let slow = self.busy.accepted.quantile(0.99) * SLOWER_MAX;
        for (figure, latencies, most, goal) in [
            ("p99 of accepted", &overload.accepted, slow, format!("at most {slow:.1?}")),
            ("p99 of refusals", &overload.refused, REFUSAL_MAX, format!("at most {REFUSAL_MAX:?}")),
        ] {
            let found = latencies.quantile(0.99);
            goals.note(figure, goal, format!("{found:.1?}"), found <= most);
        }
        for (figure, found) in [
            ("answers that leave it open", overload.count(Fate::Unknown)),
            ("refusals without Retry-After", overload.without_retry_after),
            ("refused at 80 % of the capacity", self.busy.refused.count()),
        ] {
            goals.note(figure, "none", found, found == 0);
        }
        let recovery = self.recovery(slow);
        goals.note(
            "back to normal",
            format!("within {RECOVERY_MAX:?}"),
            format!("{recovery:?}"),
            recovery <= RECOVERY_MAX,
        );
        let after = self.after.accepted_per_second() / (BUSY * capacity);
        goals.note(
            "stored after it, of what was sent",
            "at least 99 %",
            format!("{:.2} %", after * 100.0),
            after >= 0.99,
        );
        goals.note_audit(&self.audit);
        let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
        goals.note(
            "memory of the facade",
            format!("at most {}", mebibytes(FACADE_MEMORY_MAX)),
            mebibytes(self.facade_memory),
            self.facade_memory <= FACADE_MEMORY_MAX,
        );
        let stored = self.audit.stored;
        goals.note(
            "memory of the logging service",
            "with its index",
            format!("{}, {stored} stored", mebibytes(self.logging_memory)),
            true,
        );
        goals
    }
}
