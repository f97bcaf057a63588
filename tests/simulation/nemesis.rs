//! Does harm to links and machines by a schedule that follows from the seed, then lets them heal.

use std::{collections::BTreeMap, ops::Range, rc::Rc};

use turmoil::Sim;

use crate::{
    events::Events,
    links::Link,
    machines::{FacadeMachine, LoggingMachine},
    outages::{FacadeOutages, LoggingOutages},
    seed::random,
};

/// All that goes wrong in a run.
pub(crate) struct Nemesis {
    links: Vec<Link>,
    logging: LoggingOutages,
    facades: Vec<FacadeOutages>,
    random: fastrand::Rng,
    events: Events,
    /// How often each fault was brought about.
    pub(crate) faults: BTreeMap<String, u64>,
}

impl Nemesis {
    pub(crate) fn new(
        seed: u64,
        logging: Rc<LoggingMachine>,
        facades: Vec<Rc<FacadeMachine>>,
        latency: &Range<u64>,
        events: &Events,
    ) -> Self {
        let mut random = random(seed, "nemesis");
        let facades = facades.into_iter().enumerate();
        Self {
            links: Link::all(latency, &mut random),
            logging: LoggingOutages::new(logging, &mut random),
            facades: facades.map(|(nth, m)| FacadeOutages::new(nth, m, &mut random)).collect(),
            random,
            events: events.clone(),
            faults: BTreeMap::new(),
        }
    }

    /// Does harm if it is time to.
    pub(crate) fn step(&mut self, sim: &mut Sim<'_>) {
        let Self { links, logging, facades, random, events, faults } = self;
        let mut count = |fault: Option<String>| {
            if let Some(fault) = fault {
                *faults.entry(fault).or_default() += 1;
            }
        };
        for link in &mut *links {
            count(link.step(sim, random, events).map(|fault| format!("{fault:?}")));
        }
        count(logging.step(sim, random, events));
        for facade in facades {
            count(facade.step(sim, random, events));
        }
    }

    /// Brings about what follows from earlier harm, and what goes on by itself.
    pub(crate) fn follow_up(&mut self, sim: &mut Sim<'_>) {
        let Self { links, logging, facades, random, events, .. } = self;
        for link in links {
            link.follow_up(sim, random);
        }
        logging.follow_up(sim, random, events);
        for facade in facades {
            facade.follow_up(sim, random, events);
        }
    }

    /// Ends all harm.
    pub(crate) fn heal(&mut self, sim: &mut Sim<'_>) {
        self.events.tell("the faults are over");
        for link in &mut self.links {
            link.heal(sim, &self.events);
        }
        self.logging.make_room(&self.events);
    }
}
