//! What goes wrong between two machines.

use std::time::Duration;

use turmoil::Sim;

use crate::{
    events::Events,
    machines::{FACADES, LOGGING},
};

pub(crate) const CLIENTS: [&str; 2] = ["clients-0", "clients-1"];

/// What goes wrong on a link, from its first machine to its second where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkFault {
    Partition,
    OneWayThere,
    OneWayBack,
    /// Nothing is lost, and all of it comes late and together.
    Hold,
    Slow,
    Lossy,
}

const ALL: [LinkFault; 6] = [
    LinkFault::Partition,
    LinkFault::OneWayThere,
    LinkFault::OneWayBack,
    LinkFault::Hold,
    LinkFault::Slow,
    LinkFault::Lossy,
];

/// A link, and its fault of the moment.
#[derive(Debug)]
pub(crate) struct Link {
    ends: [&'static str; 2],
    latency_max: Duration,
    fault: Option<LinkFault>,
    /// When the fault ends, or the next one begins.
    change_at: Duration,
}

impl Link {
    /// All links that are used.
    pub(crate) fn all(latency_max: Duration) -> Vec<Self> {
        let to_logging = FACADES.map(|facade| [facade, LOGGING]);
        let of_clients = CLIENTS.into_iter().flat_map(|c| FACADES.map(|facade| [c, facade]));
        let ends = to_logging.into_iter().chain(of_clients);
        ends.map(|ends| Self { ends, latency_max, fault: None, change_at: Duration::ZERO })
            .collect()
    }

    /// Begins or ends a fault when it is time to. Returns the one it began.
    pub(crate) fn step(
        &mut self,
        sim: &mut Sim<'_>,
        random: &mut fastrand::Rng,
        events: &Events,
    ) -> Option<LinkFault> {
        let now = sim.elapsed();
        if now < self.change_at {
            return None;
        }
        let is_first = self.change_at.is_zero();
        if is_first || self.fault.is_some() {
            self.heal(sim, events);
            self.change_at = now + Duration::from_millis(random.u64(200..8000));
            return None;
        }
        let fault = ALL[random.usize(0..ALL.len())];
        self.begin(sim, fault, random, events);
        let longest = if random.u8(0..5) == 0 { 12_000 } else { 2_500 };
        self.change_at = now + Duration::from_millis(random.u64(20..longest));
        Some(fault)
    }

    fn begin(
        &mut self,
        sim: &mut Sim<'_>,
        fault: LinkFault,
        random: &mut fastrand::Rng,
        events: &Events,
    ) {
        let [a, b] = self.ends;
        events.tell(format!("{a} - {b}: {fault:?}"));
        match fault {
            LinkFault::Partition => sim.partition(a, b),
            LinkFault::OneWayThere => sim.partition_oneway(a, b),
            LinkFault::OneWayBack => sim.partition_oneway(b, a),
            LinkFault::Hold => sim.hold(a, b),
            LinkFault::Slow => {
                let latency = Duration::from_millis(random.u64(50..3000));
                sim.set_link_max_message_latency(a, b, latency);
            }
            LinkFault::Lossy => sim.set_link_fail_rate(a, b, 0.02 + 0.2 * random.f64()),
        }
        self.fault = Some(fault);
    }

    /// Ends the fault, if there is one.
    pub(crate) fn heal(&mut self, sim: &mut Sim<'_>, events: &Events) {
        let Some(fault) = self.fault.take() else { return };
        let [a, b] = self.ends;
        events.tell(format!("{a} - {b}: {fault:?} is over"));
        match fault {
            LinkFault::Hold => sim.release(a, b),
            LinkFault::Slow => sim.set_link_max_message_latency(a, b, self.latency_max),
            LinkFault::Lossy => {
                sim.set_link_fail_rate(a, b, 0.0);
                sim.repair(a, b);
            }
            LinkFault::Partition | LinkFault::OneWayThere | LinkFault::OneWayBack => {
                sim.repair(a, b);
            }
        }
    }
}
