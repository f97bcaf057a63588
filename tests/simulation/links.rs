//! What goes wrong between two machines.

use std::{ops::Range, time::Duration};

use turmoil::Sim;

use crate::{
    events::Events,
    machines::{FACADES, LOGGING},
    seed::some_of,
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
    /// Cut and whole in turns.
    Flapping,
}

const ALL: [LinkFault; 6] = [
    LinkFault::Partition,
    LinkFault::OneWayThere,
    LinkFault::OneWayBack,
    LinkFault::Hold,
    LinkFault::Slow,
    LinkFault::Flapping,
];

/// A link, and its fault of the moment.
///
/// Its latency changes from time to time, and is the same for all messages of a moment: if it were
/// drawn for each one, two that are sent at the same time in another order would change the run.
#[derive(Debug)]
pub(crate) struct Link {
    ends: [&'static str; 2],
    /// In milliseconds, in good times.
    latency: Range<u64>,
    latency_change_at: Duration,
    /// The faults of this run.
    faults: Vec<LinkFault>,
    /// The longest time between two of them, in milliseconds.
    pause_max: u64,
    fault: Option<LinkFault>,
    /// When the fault ends, or the next one begins.
    change_at: Duration,
    /// When a flapping link is cut or mended.
    flap_at: Duration,
    is_cut: bool,
}

impl Link {
    /// All links that are used.
    pub(crate) fn all(latency: &Range<u64>, random: &mut fastrand::Rng) -> Vec<Self> {
        let to_logging = FACADES.map(|facade| [facade, LOGGING]);
        let of_clients = CLIENTS.into_iter().flat_map(|c| FACADES.map(|facade| [c, facade]));
        let faults = some_of(&ALL, random);
        // In some runs the network is nearly whole.
        let pause_max = [2000, 8000, 60_000][random.usize(0..3)];
        let link = |ends| Self {
            faults: faults.clone(),
            pause_max,
            ends,
            latency: latency.clone(),
            latency_change_at: Duration::ZERO,
            fault: None,
            change_at: Duration::ZERO,
            flap_at: Duration::ZERO,
            is_cut: false,
        };
        to_logging.into_iter().chain(of_clients).map(link).collect()
    }

    /// What goes on by itself: the latency of good times changes, and a flapping link flaps.
    pub(crate) fn follow_up(&mut self, sim: &mut Sim<'_>, random: &mut fastrand::Rng) {
        let [a, b] = self.ends;
        let now = sim.elapsed();
        let ms = Duration::from_millis;
        if self.latency_change_at <= now && self.fault != Some(LinkFault::Slow) {
            self.latency_change_at = now + ms(random.u64(50..800));
            sim.set_link_latency(a, b, ms(random.u64(self.latency.clone())));
        }
        if self.flap_at <= now && self.fault == Some(LinkFault::Flapping) {
            self.flap_at = now + ms(random.u64(5..150));
            self.is_cut = !self.is_cut;
            if self.is_cut { sim.partition(a, b) } else { sim.repair(a, b) }
        }
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
            self.change_at = now + Duration::from_millis(random.u64(200..self.pause_max));
            return None;
        }
        let fault = self.faults[random.usize(0..self.faults.len())];
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
                sim.set_link_latency(a, b, latency);
            }
            LinkFault::Flapping => self.is_cut = false,
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
            LinkFault::Slow => self.latency_change_at = Duration::ZERO,
            LinkFault::Partition
            | LinkFault::OneWayThere
            | LinkFault::OneWayBack
            | LinkFault::Flapping => sim.repair(a, b),
        }
    }
}
