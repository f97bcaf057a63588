//! Does harm by a schedule that follows from a seed alone, and undoes it.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    history::Micros,
    load::Run,
    processes::ProcessError,
    proxy::{Cut, Mode},
    trio::Trio,
};

/// Time between the end of a fault and the next one.
const GAP_MILLIS: std::ops::Range<u64> = 100..500;

/// How long a fault usually lasts.
const SHORT_MILLIS: std::ops::Range<u64> = 50..600;

/// How long every fifth lasts: longer than the facade's patience with a message.
const LONG_MILLIS: std::ops::Range<u64> = 2100..2600;

/// What each piece of bytes waits at most, while they are delayed.
const DELAY_MILLIS: std::ops::Range<u64> = 20..700;

/// Bytes that still go through before a reset: from the middle of a frame to some batches.
const RESET_BYTES: std::ops::Range<u64> = 0..4096;

/// A kind of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A service is ended with SIGKILL and started again.
    Kill,
    /// A service is stopped with SIGSTOP and goes on later.
    Freeze,
    /// The connections between the services end in good order.
    Cut,
    /// They are reset in the middle of a message.
    Reset,
    /// What goes through them is late.
    Delay,
    /// Requests arrive, replies do not.
    DropReplies,
    /// Nothing arrives.
    BlackHole,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Kill,
        Self::Freeze,
        Self::Cut,
        Self::Reset,
        Self::Delay,
        Self::DropReplies,
        Self::BlackHole,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Cut => "cut",
            Self::Reset => "reset",
            Self::Delay => "delay",
            Self::DropReplies => "drop-replies",
            Self::BlackHole => "black-hole",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|fault| fault.name() == name);
        named.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{name:?} is no fault; there are {names}")
        })
    }
}

/// Which service a fault hits, if it hits one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The facade.
    Facade,
    /// The logging service.
    Logging,
}

/// A fault that is going to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// When, from the start of the run. It is late if undoing the one before took long.
    pub at: Duration,
    /// What.
    pub fault: Fault,
    /// To whom.
    pub victim: Victim,
    /// How long until it is undone.
    pub lasts: Duration,
    /// What each piece of bytes waits, for [`Fault::Delay`].
    pub delay: Duration,
    /// What still goes through, for [`Fault::Reset`].
    pub after_bytes: u64,
}

/// A fault that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What.
    pub fault: Fault,
    /// To whom.
    pub victim: Victim,
    /// When it was done.
    pub began: Micros,
    /// When it was undone.
    pub ended: Micros,
}

/// The faults of a run: the same for the same arguments. Each of `faults` comes once before any
/// comes again; the first kill hits the facade, the next one the logging service.
#[must_use]
pub fn schedule(seed: u64, duration: Duration, faults: &[Fault]) -> Vec<Planned> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut plan = Vec::new();
    let (mut deck, mut kills) = (Vec::new(), 0);
    let mut at = Duration::ZERO;
    loop {
        at += millis(&mut rng, GAP_MILLIS);
        if deck.is_empty() {
            deck = faults.to_vec();
            // Kills are what the rest is measured against.
            deck.extend(faults.iter().copied().filter(|fault| *fault == Fault::Kill));
            rng.shuffle(&mut deck);
        }
        let Some(fault) = deck.pop() else { return plan };
        let victim = if fault == Fault::Kill {
            kills += 1;
            // Two of three hit the one that has something to lose.
            if kills % 3 == 1 { Victim::Facade } else { Victim::Logging }
        } else if fault == Fault::Freeze && rng.u8(0..3) == 0 {
            Victim::Facade
        } else {
            Victim::Logging
        };
        let range = if rng.u8(0..5) == 0 { LONG_MILLIS } else { SHORT_MILLIS };
        let lasts = match fault {
            Fault::Cut | Fault::Reset => Duration::ZERO,
            Fault::Kill | Fault::Freeze | Fault::Delay | Fault::DropReplies | Fault::BlackHole => {
                millis(&mut rng, range)
            }
        };
        if at + lasts > duration {
            return plan;
        }
        let delay = millis(&mut rng, DELAY_MILLIS);
        let after_bytes = rng.u64(RESET_BYTES);
        plan.push(Planned { at, fault, victim, lasts, delay, after_bytes });
        at += lasts;
    }
}

fn millis(rng: &mut fastrand::Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

/// Carries out `plan` until its end or until `duration` is over, and notes what was done in `done`.
/// It may be dropped at any time; [`Trio::heal`] undoes what it left.
///
/// # Errors
/// A killed service did not come up again.
pub async fn harm(
    trio: &mut Trio,
    plan: &[Planned],
    duration: Duration,
    run: &Run,
    done: &mut Vec<Done>,
) -> Result<(), ProcessError> {
    for planned in plan {
        tokio::time::sleep_until((run.origin() + planned.at).into()).await;
        if run.origin().elapsed() >= duration {
            break;
        }
        let began = run.now();
        let (fault, victim) = (planned.fault, planned.victim);
        let at = done.len();
        done.push(Done { fault, victim, began, ended: began });
        one(trio, planned).await?;
        done[at].ended = run.now();
    }
    Ok(())
}

async fn one(trio: &mut Trio, planned: &Planned) -> Result<(), ProcessError> {
    let lasts = tokio::time::sleep(planned.lasts);
    let mode = match planned.fault {
        Fault::Kill => {
            match planned.victim {
                Victim::Facade => trio.facade.kill()?,
                Victim::Logging => trio.logging.kill()?,
            }
            lasts.await;
            return match planned.victim {
                Victim::Facade => trio.restart_facade().await,
                Victim::Logging => trio.restart_logging().await,
            };
        }
        Fault::Freeze => {
            let victim = match planned.victim {
                Victim::Facade => &trio.facade,
                Victim::Logging => &trio.logging,
            };
            victim.freeze()?;
            lasts.await;
            return victim.thaw();
        }
        Fault::Cut => {
            trio.proxy.cut(Cut::End);
            return Ok(());
        }
        Fault::Reset => {
            trio.proxy.cut(Cut::Reset { after_bytes: planned.after_bytes });
            return Ok(());
        }
        Fault::Delay => Mode::Delay(planned.delay),
        Fault::DropReplies => Mode::DropReplies,
        Fault::BlackHole => Mode::BlackHole,
    };
    trio.proxy.set_mode(mode);
    lasts.await;
    trio.proxy.set_mode(Mode::Pass);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let plan = schedule(7, MINUTE, &Fault::ALL);
        assert_eq!(plan, schedule(7, MINUTE, &Fault::ALL));
        assert_ne!(plan, schedule(8, MINUTE, &Fault::ALL));
        assert!(plan.len() > 30, "{} faults in a minute", plan.len());
        assert!(plan.iter().all(|planned| planned.at + planned.lasts <= MINUTE));
    }

    #[test]
    fn only_the_faults_asked_for_happen_and_all_of_them() {
        for fault in Fault::ALL {
            assert!(schedule(1, MINUTE, &Fault::ALL).iter().any(|planned| planned.fault == fault));
            let alone = schedule(1, MINUTE, &[fault]);
            assert!(!alone.is_empty() && alone.iter().all(|planned| planned.fault == fault));
        }
        assert_eq!(schedule(1, MINUTE, &[]), []);
    }

    #[test]
    fn a_fault_is_known_by_its_name() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert!("lightning".parse::<Fault>().unwrap_err().contains("drop-replies"));
    }
}
