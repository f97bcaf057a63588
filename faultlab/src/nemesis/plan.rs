//! The faults of a run, which follow from its seed.

use std::{ops::Range, time::Duration};

use super::{Fault, Link, Victim};
use crate::proxy::{Cut, Direction, Mode};

/// Time between the end of a fault and the next one. However late it is, there is time for a receipt.
const GAP_MILLIS: Range<u64> = 100..500;

/// The same after a kill of the logging service: the time to the first receipt is measured there.
const GAP_AFTER_KILL_MILLIS: Range<u64> = 400..1000;

/// The same in [`kills`], where faults are to hit at any moment.
const GAP_OF_KILLS_MILLIS: Range<u64> = 0..350;

/// The faults of [`schedule`]. Every fifth lasts longer than the total timeout of the facade.
const PACE: Timing =
    Timing { pause_millis: GAP_MILLIS, short_millis: 50..600, long_millis: 2100..2600 };

/// How long one freeze in [`VERY_LONG_EVERY`] lasts, in runs of [`VERY_LONG_RUN`] or more.
const VERY_LONG_MILLIS: Range<u64> = 10_000..15_000;
const VERY_LONG_EVERY: u32 = 25;
const VERY_LONG_RUN: Duration = Duration::from_secs(5 * 60);

/// What each piece of bytes waits at most, while they are delayed.
const DELAY_MILLIS: Range<u64> = 20..700;

/// Bytes that still go through before a reset: from the middle of a frame to some batches.
const RESET_BYTES: Range<u64> = 0..4096;

/// From some messages a second to some hundred.
const THROTTLE_BYTES_PER_SECOND: Range<u64> = 500..50_000;

/// How long nothing and then everything goes through.
const FLAP_MILLIS: Range<u64> = 20..150;

/// A fault that is going to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// When, from the start of the run. It is late if undoing the one before took long.
    pub at: Duration,
    /// The least time since the end of the one before.
    pub pause: Duration,
    /// What kind.
    pub fault: Fault,
    /// On what.
    pub victim: Victim,
    /// How long until it is undone.
    pub lasts: Duration,
    /// What exactly.
    pub harm: Harm,
}

impl Planned {
    /// When it begins if the one before ended at `last_end`, both from the start of the run.
    #[must_use]
    pub fn due(&self, last_end: Duration) -> Duration {
        self.at.max(last_end + self.pause)
    }
}

/// What is done to a victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The line before a variant says what its fields are.
pub enum Harm {
    /// The service is ended with SIGKILL.
    Kill,
    /// It is stopped with SIGSTOP.
    Freeze,
    /// The connections of the link are cut.
    Cut(Cut),
    /// Its bytes are treated like this.
    Bytes(Mode),
    /// They are thrown away and let through, in turn, for `each` at a time.
    Flap { each: Duration },
    /// The simulated machine has the fault, whose details follow from `seed`.
    Machine { seed: u64 },
}

/// How long the faults of a victim last, and how soon the next one comes, in milliseconds.
#[derive(Debug, Clone)]
pub struct Timing {
    /// From the end of a fault to the next one.
    pub pause_millis: Range<u64>,
    /// How long a fault usually lasts.
    pub short_millis: Range<u64>,
    /// How long every fifth lasts.
    pub long_millis: Range<u64>,
}

impl Timing {
    fn lasts(&self, rng: &mut fastrand::Rng) -> Duration {
        let range = if rng.u8(0..5) == 0 { &self.long_millis } else { &self.short_millis };
        millis(rng, range.clone())
    }
}

/// The faults of one victim until `duration`, one after the other. Other victims may be harmed at the
/// same time, by lanes of their own.
#[must_use]
pub fn lane(
    victim: Victim,
    faults: &[Fault],
    timing: &Timing,
    duration: Duration,
    rng: &mut fastrand::Rng,
) -> Vec<Planned> {
    let (mut plan, mut at) = (Vec::new(), Duration::ZERO);
    while let Some(fault) = rng.choice(faults).copied() {
        let pause = millis(rng, timing.pause_millis.clone());
        at += pause;
        if at >= duration {
            break;
        }
        let (lasts, harm) = (timing.lasts(rng), exactly(fault, rng));
        plan.push(Planned { at, pause, fault, victim, lasts, harm });
        at += lasts;
    }
    plan
}

/// The faults of a run: the same for the same arguments. Each of `faults` comes once before any
/// comes again; the first kill hits the facade, the next one the logging service.
#[must_use]
pub fn schedule(seed: u64, duration: Duration, faults: &[Fault]) -> Vec<Planned> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut plan: Vec<Planned> = Vec::new();
    let (mut deck, mut kills) = (Vec::new(), 0);
    let mut at = Duration::ZERO;
    loop {
        let killed = plan
            .last()
            .is_some_and(|last| (last.fault, last.victim) == (Fault::Kill, Victim::Logging));
        let gap = if killed { GAP_AFTER_KILL_MILLIS } else { GAP_MILLIS };
        let pause = Duration::from_millis(gap.start);
        at += millis(&mut rng, gap);
        if deck.is_empty() {
            deck = faults.to_vec();
            // Kills are what the rest is measured against.
            deck.extend(faults.iter().copied().filter(|fault| *fault == Fault::Kill));
            rng.shuffle(&mut deck);
        }
        let Some(fault) = deck.pop() else { return plan };
        kills += usize::from(fault == Fault::Kill);
        let victim = victim(fault, kills, &mut rng);
        let lasts = lasts(fault, duration, &mut rng);
        if at >= duration {
            return plan;
        }
        if at + lasts > duration {
            // A shorter one may still fit.
            continue;
        }
        let harm = exactly(fault, &mut rng);
        plan.push(Planned { at, pause, fault, victim, lasts, harm });
        at += lasts;
    }
}

/// Faults of processes in quick succession: `logging` kills of the logging service and some other
/// faults, in random order. A service that is kept away, and not only killed, is so for `long`.
#[must_use]
pub fn kills(seed: u64, logging: usize, long: Duration) -> Vec<Planned> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut faults = vec![(Fault::Kill, Victim::Logging, Duration::ZERO); logging];
    faults.extend([(Fault::Kill, Victim::Facade, Duration::ZERO); 4]);
    faults.push((Fault::KillMessages, Victim::Messages, Duration::ZERO));
    faults.push((Fault::Kill, Victim::Logging, long));
    faults.extend([(Fault::Freeze, Victim::Logging, long); 2]);
    rng.shuffle(&mut faults);
    let mut planned = |(fault, victim, lasts)| {
        let pause = millis(&mut rng, GAP_OF_KILLS_MILLIS);
        let harm = exactly(fault, &mut rng);
        Planned { at: Duration::ZERO, pause, fault, victim, lasts, harm }
    };
    faults.into_iter().map(&mut planned).collect()
}

fn victim(fault: Fault, kills: usize, rng: &mut fastrand::Rng) -> Victim {
    let one_of_three = rng.u8(0..3) == 0;
    match fault {
        // Two of three hit the one that has something to lose.
        Fault::Kill if kills % 3 == 1 => Victim::Facade,
        Fault::Freeze if one_of_three => Victim::Facade,
        Fault::Kill | Fault::Freeze | Fault::Machine(_) => Victim::Logging,
        Fault::KillMessages => Victim::Messages,
        // The facade has one connection to the logging service: nothing can overtake there.
        Fault::Scatter => Victim::Link(Link::Clients),
        Fault::Cut
        | Fault::HalfClose
        | Fault::Reset
        | Fault::Delay
        | Fault::Throttle
        | Fault::Hold
        | Fault::DropRequests
        | Fault::DropReplies
        | Fault::BlackHole
        | Fault::Flap => Victim::Link(if one_of_three { Link::Clients } else { Link::Logging }),
    }
}

fn lasts(fault: Fault, run: Duration, rng: &mut fastrand::Rng) -> Duration {
    let lasts = PACE.lasts(rng);
    let is_very_long = |rng: &mut fastrand::Rng| {
        fault == Fault::Freeze && run >= VERY_LONG_RUN && rng.u32(0..VERY_LONG_EVERY) == 0
    };
    // A supervisor starts a killed service again at once.
    if matches!(fault, Fault::Cut | Fault::HalfClose | Fault::Reset)
        || fault == Fault::Kill && rng.bool()
    {
        Duration::ZERO
    } else if is_very_long(rng) {
        millis(rng, VERY_LONG_MILLIS)
    } else {
        lasts
    }
}

fn exactly(fault: Fault, rng: &mut fastrand::Rng) -> Harm {
    match fault {
        Fault::Kill | Fault::KillMessages => Harm::Kill,
        Fault::Freeze => Harm::Freeze,
        Fault::Cut => Harm::Cut(Cut::End),
        Fault::HalfClose => {
            let direction = if rng.bool() { Direction::Requests } else { Direction::Replies };
            Harm::Cut(Cut::Half(direction))
        }
        Fault::Reset => Harm::Cut(Cut::Reset { after_bytes: rng.u64(RESET_BYTES) }),
        Fault::Delay => Harm::Bytes(Mode::Delay(millis(rng, DELAY_MILLIS))),
        Fault::Scatter => {
            let max = millis(rng, DELAY_MILLIS);
            Harm::Bytes(Mode::Scatter { max, seed: rng.u64(..) })
        }
        Fault::Throttle => {
            let bytes_per_second = rng.u64(THROTTLE_BYTES_PER_SECOND);
            Harm::Bytes(Mode::Throttle { bytes_per_second })
        }
        Fault::Hold => Harm::Bytes(Mode::Hold),
        Fault::DropRequests => Harm::Bytes(Mode::DropRequests),
        Fault::DropReplies => Harm::Bytes(Mode::DropReplies),
        Fault::BlackHole => Harm::Bytes(Mode::BlackHole),
        Fault::Flap => Harm::Flap { each: millis(rng, FLAP_MILLIS) },
        Fault::Machine(_) => Harm::Machine { seed: rng.u64(..) },
    }
}

fn millis(rng: &mut fastrand::Rng, range: Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

#[cfg(test)]
mod tests {
    use super::{super::MachineFault, *};

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let plan = schedule(7, MINUTE, &Fault::ALL);
        assert_eq!(plan, schedule(7, MINUTE, &Fault::ALL));
        assert_ne!(plan, schedule(8, MINUTE, &Fault::ALL));
        assert!(plan.len() > 45, "{} faults in a minute", plan.len());
        assert!(plan.iter().all(|planned| planned.at + planned.lasts <= MINUTE));
    }

    #[test]
    fn a_lane_keeps_its_pace_and_follows_from_its_numbers() {
        let timing = Timing { pause_millis: 10..20, short_millis: 0..5, long_millis: 30..40 };
        let faults = [Fault::Kill, Fault::Machine(MachineFault::Stop)];
        let plan = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            lane(Victim::Logging, &faults, &timing, Duration::from_secs(1), &mut rng)
        };
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        let mut end = Duration::ZERO;
        for planned in plan(1) {
            assert_eq!(planned.due(end), planned.at);
            assert!(faults.contains(&planned.fault) && planned.lasts < Duration::from_millis(40));
            end = planned.at + planned.lasts;
        }
        assert!(end > Duration::from_millis(900));
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(lane(Victim::Logging, &[], &timing, MINUTE, &mut rng), []);
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
    fn twenty_minutes_have_a_thousand_faults_on_every_victim() {
        let plan = schedule(2026, MINUTE * 20, &Fault::ALL);
        assert!(plan.len() >= 1000, "{} faults", plan.len());
        let victims = [
            Victim::Facade,
            Victim::Logging,
            Victim::Messages,
            Victim::Link(Link::Clients),
            Victim::Link(Link::Logging),
        ];
        for victim in victims {
            assert!(plan.iter().any(|planned| planned.victim == victim), "none hits {victim}");
        }
        assert!(plan.iter().any(|planned| planned.lasts >= Duration::from_secs(10)));
    }
}
