//! The results of a storm, and the goals.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::counter::Arrived;
use crate::{
    experiments::Goals,
    open_loop::{Audit, Fate, Measured},
};

/// Copies of a message that may arrive in a full outage, for each message posted.
const AMPLIFICATION_MAX: f64 = 1.2;

/// What counts as the same time.
const TOGETHER: Duration = Duration::from_millis(10);

/// Calls that may arrive at the same time in a full outage: one that ends and one that begins.
const TOGETHER_MAX: usize = 2;

/// From the end of an outage to the first message that is stored.
///
/// The attempt that is under way then takes its 2 s if its bytes are lost, and a delay of up to 2 s
/// follows.
const RECOVERY_MAX: Duration = Duration::from_secs(5);

/// The results of one kind of phase.
#[derive(Debug)]
pub struct Phase {
    pub(super) name: &'static str,
    /// Messages that were posted while it lasted, those under way when it began included.
    pub posted: u64,
    /// What arrived at the logging service meanwhile.
    pub(super) arrived: Arrived,
    /// Copies of messages that arrived meanwhile.
    pub copies: f64,
    /// What the clients saw, before, during and after it.
    pub measured: Measured,
    /// From its end to the first message stored; none if there was no full outage.
    pub recovery: Option<Duration>,
}

/// The results of a storm.
#[derive(Debug)]
pub struct Results {
    /// Each kind of phase.
    pub phases: Vec<Phase>,
    /// Bytes of the calls for each message when all is well.
    pub bytes_per_message: f64,
    /// The log in the end.
    pub audit: Audit,
}

impl Phase {
    /// Copies of messages at the logging service, for each message posted.
    #[must_use]
    pub fn amplification(&self) -> f64 {
        self.copies / self.posted.max(1) as f64
    }

    /// Calls and connections that arrived at the logging service. None: nothing was counted.
    #[must_use]
    pub fn arrivals(&self) -> usize {
        self.arrived.calls.len() + self.arrived.connections.len()
    }

    /// Calls at the logging service, for each message posted.
    #[must_use]
    pub fn calls_per_message(&self) -> f64 {
        self.arrived.calls.len() as f64 / self.posted.max(1) as f64
    }

    /// Calls and connections in the fullest hundredth of a second.
    #[must_use]
    pub fn together(&self) -> (usize, usize) {
        (together(&self.arrived.calls), together(&self.arrived.connections))
    }

    /// Whether the logging service was away altogether.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        self.recovery.is_some()
    }
}

/// The most of `times` that lie within [`TOGETHER`].
fn together(times: &[Instant]) -> usize {
    let ends = times.iter().enumerate().map(|(first, begin)| {
        times[first..].iter().take_while(|time| **time - *begin < TOGETHER).count()
    });
    ends.max().unwrap_or_default()
}

impl Results {
    /// The figures beside their goals.
    #[must_use]
    pub fn goals(&self) -> Goals {
        let mut goals = Goals::default();
        for phase in self.phases.iter().filter(|phase| phase.is_outage()) {
            let (calls, connections) = phase.together();
            let (found, arrivals) = (phase.amplification(), phase.arrivals());
            goals.note(
                "calls and connections that were counted",
                "more than 0",
                format!("{arrivals} ({})", phase.name),
                arrivals > 0,
            );
            goals.note(
                "copies at the backend for each message",
                format!("at most {AMPLIFICATION_MAX}"),
                format!("{found:.3} ({})", phase.name),
                found <= AMPLIFICATION_MAX,
            );
            goals.note(
                "calls or connections within 10 ms",
                format!("at most {TOGETHER_MAX}"),
                format!("{} ({})", calls.max(connections), phase.name),
                calls.max(connections) <= TOGETHER_MAX,
            );
            let recovery = phase.recovery.unwrap_or_default();
            goals.note(
                "first message stored after the outage",
                format!("within {RECOVERY_MAX:?}"),
                match recovery {
                    Duration::MAX => format!("not in time ({})", phase.name),
                    recovery => format!("{recovery:?} ({})", phase.name),
                },
                recovery <= RECOVERY_MAX,
            );
        }
        goals.note_audit(&self.audit);
        goals
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "one message takes {:.0} bytes of a call", self.bytes_per_message)?;
        for phase in &self.phases {
            let (calls, connections) = phase.together();
            let fates = [Fate::Accepted, Fate::Refused, Fate::Unknown];
            let [accepted, refused, unknown] = fates.map(|fate| phase.measured.count(fate));
            writeln!(
                f,
                "{}: posted {}, calls {} ({:.4} a message), connections {}, copies {:.0} ({:.3} a \
                 message), at most {calls} calls and {connections} connections within 10 ms; all \
                 in all accepted {accepted}, refused {refused}, unknown {unknown}",
                phase.name,
                phase.posted,
                phase.arrived.calls.len(),
                phase.calls_per_message(),
                phase.arrived.connections.len(),
                phase.copies,
                phase.amplification(),
            )?;
        }
        writeln!(f, "log: {}", self.audit)
    }
}
