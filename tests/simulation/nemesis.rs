//! Does harm to links and machines by a plan that follows from the seed, and undoes it.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    rc::Rc,
    time::Duration,
};

use faultlab::nemesis::{Fault, MachineFault, Planned, Timing, Victim, lane};
use turmoil::Sim;

use crate::{
    events::Events,
    links::{Link, links},
    machines::{FACADES, FacadeMachine, LOGGING, LoggingMachine},
    outages::{Disk, Outage},
    seed::{random, some_of},
};

/// From the end of a process for which there is no plan to its next start.
const RESTART_DELAY: Duration = Duration::from_millis(200);

const OF_LINKS: [Fault; 6] = [
    Fault::BlackHole,
    Fault::DropRequests,
    Fault::DropReplies,
    Fault::Hold,
    Fault::Delay,
    Fault::Flap,
];

const OF_LOGGING: [Fault; 5] = [
    Fault::Kill,
    Fault::Machine(MachineFault::Stop),
    Fault::Machine(MachineFault::PowerLoss),
    Fault::Machine(MachineFault::PowerLossWithin),
    Fault::Machine(MachineFault::PowerLossWithin),
];

const OF_DISK: [Fault; 3] = [
    Fault::Machine(MachineFault::DiskFails),
    Fault::Machine(MachineFault::DiskFull),
    Fault::Machine(MachineFault::ClockJump),
];

const OF_FACADES: [Fault; 2] = [Fault::Kill, Fault::Machine(MachineFault::Stop)];

/// What is harmed, one fault at a time.
pub(crate) trait Target {
    /// Whether it has ended by itself and must be started again.
    fn is_down(&self, _: &mut Sim<'_>) -> bool {
        false
    }

    /// Begins a fault.
    fn begin(&mut self, planned: &Planned, sim: &mut Sim<'_>);

    /// Ends it. Returns whether it is over.
    fn end(&mut self, sim: &mut Sim<'_>) -> bool;

    /// Brings about what follows from the fault of the moment, and what goes on by itself.
    fn follow_up(&mut self, sim: &mut Sim<'_>, random: &mut fastrand::Rng);
}

/// A victim and its plan.
struct Lane {
    name: String,
    target: Box<dyn Target>,
    plan: VecDeque<Planned>,
    /// When the fault of the moment is to end.
    until: Option<Duration>,
    last_end: Duration,
}

/// All that goes wrong in a run.
pub(crate) struct Nemesis {
    lanes: Vec<Lane>,
    random: fastrand::Rng,
    events: Events,
    /// How often each fault was brought about.
    pub(crate) faults: BTreeMap<String, u64>,
}

impl Nemesis {
    /// Plans the faults until `duration`.
    pub(crate) fn new(
        seed: u64,
        logging: Rc<LoggingMachine>,
        facades: [Rc<FacadeMachine>; 2],
        latency: &Range<u64>,
        duration: Duration,
        events: &Events,
    ) -> Self {
        let mut random = random(seed, "nemesis");
        let rng = &mut random;
        let mut lanes = Vec::new();
        let mut add = |name: String, target, plan: Vec<Planned>| {
            let (plan, last_end) = (plan.into(), Duration::ZERO);
            lanes.push(Lane { name, target, plan, until: None, last_end });
        };
        // In some runs the network is nearly whole.
        let pause_max = [2000, 8000, 60_000][rng.usize(0..3)];
        let timing = timing(200..pause_max, 20..2500, 20..12_000);
        let faults = some_of(&OF_LINKS, rng);
        for (kind, ends) in links() {
            let plan = lane(Victim::Link(kind), &faults, &timing, duration, rng);
            add(ends.join(" - "), Box::new(Link::new(ends, latency)), plan);
        }
        let pause_max = [600, 1500, 5000][rng.usize(0..3)];
        let timing = self::timing(100..pause_max, 20..pause_max / 3, 20..pause_max / 3);
        let plan = lane(Victim::Logging, &some_of(&OF_LOGGING, rng), &timing, duration, rng);
        let outage = Outage::new(LOGGING, &logging.process, Some(logging.disk.clone()));
        add(LOGGING.to_owned(), Box::new(outage), plan);
        let timing = self::timing(100..pause_max, 100..2000, 100..4000);
        let plan = lane(Victim::Disk, &some_of(&OF_DISK, rng), &timing, duration, rng);
        add("disk".to_owned(), Box::new(Disk(logging)), plan);
        let timing = self::timing(500..8000, 20..1000, 20..1000);
        for (name, facade) in FACADES.into_iter().zip(facades) {
            // In every third run nothing happens to it.
            let faults: &[Fault] = if rng.u8(0..3) == 0 { &[] } else { &OF_FACADES };
            let plan = lane(Victim::Facade, faults, &timing, duration, rng);
            add(name.to_owned(), Box::new(Outage::new(name, &facade.process, None)), plan);
        }
        Self { lanes, random, events: events.clone(), faults: BTreeMap::new() }
    }

    /// Does what is due.
    pub(crate) fn step(&mut self, sim: &mut Sim<'_>) {
        let now = sim.elapsed();
        // First, or new harm would cover what follows from old.
        for lane in &mut self.lanes {
            lane.target.follow_up(sim, &mut self.random);
        }
        for Lane { name, target, plan, until, last_end } in &mut self.lanes {
            if let Some(end) = *until {
                if end <= now && target.end(sim) {
                    self.events.tell(format!("{name}: the fault is over"));
                    (*until, *last_end) = (None, now);
                }
            } else if target.is_down(sim) {
                *until = Some(now + RESTART_DELAY);
            } else if plan.front().is_some_and(|next| next.due(*last_end) <= now)
                && let Some(planned) = plan.pop_front()
            {
                let Planned { fault, victim, lasts, .. } = planned;
                self.events.tell(format!("{name}: {fault}"));
                *self.faults.entry(format!("{fault}, {victim}")).or_default() += 1;
                target.begin(&planned, sim);
                *until = Some(now + lasts);
            }
        }
    }

    /// Ends all harm, as soon as that can be.
    pub(crate) fn restore(&mut self) {
        self.events.tell("the faults are over");
        for lane in &mut self.lanes {
            lane.plan.clear();
            lane.until = lane.until.map(|_| Duration::ZERO);
        }
    }
}

const fn timing(
    pause_millis: Range<u64>,
    short_millis: Range<u64>,
    long_millis: Range<u64>,
) -> Timing {
    Timing { pause_millis, short_millis, long_millis }
}
