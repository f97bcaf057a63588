//! What goes wrong between two machines.

use std::{ops::Range, time::Duration};

use faultlab::{
    nemesis::{self, Harm, Planned},
    proxy::Mode,
};
use turmoil::Sim;

use crate::{
    machines::{FACADES, LOGGING},
    nemesis::Target,
};

pub(crate) const CLIENTS: [&str; 2] = ["clients-0", "clients-1"];

/// A network that delays is so many times slower than a proxy that does.
const DELAY_FACTOR: u32 = 4;

/// A link from the machine that sends requests to the one that answers.
///
/// Its latency changes from time to time, and is the same for all messages of a moment: if it were
/// drawn for each one, two that are sent at the same time in another order would change the run.
#[derive(Debug)]
pub(crate) struct Link {
    ends: [&'static str; 2],
    /// In milliseconds, in good times.
    latency: Range<u64>,
    latency_change_at: Duration,
    harm: Option<Harm>,
    /// When a flapping link is cut or mended.
    flap_at: Duration,
    is_cut: bool,
}

/// All links that are used, each with its kind.
pub(crate) fn links() -> impl Iterator<Item = (nemesis::Link, [&'static str; 2])> {
    let to_logging = FACADES.map(|facade| (nemesis::Link::Logging, [facade, LOGGING]));
    let of_clients = CLIENTS.map(|clients| FACADES.map(|facade| [clients, facade]));
    let of_clients = of_clients.into_iter().flatten().map(|ends| (nemesis::Link::Clients, ends));
    to_logging.into_iter().chain(of_clients)
}

impl Link {
    pub(crate) fn new(ends: [&'static str; 2], latency: &Range<u64>) -> Self {
        let (latency, zero) = (latency.clone(), Duration::ZERO);
        Self { ends, latency, latency_change_at: zero, harm: None, flap_at: zero, is_cut: false }
    }
}

/// Does to the bytes between two machines what a proxy does.
#[allow(clippy::wildcard_enum_match_arm)] // No other mode is planned for a link.
pub(crate) fn harm(sim: &mut Sim<'_>, [from, to]: [&'static str; 2], mode: Mode) {
    match mode {
        Mode::BlackHole => sim.partition(from, to),
        Mode::DropRequests => sim.partition_oneway(from, to),
        Mode::DropReplies => sim.partition_oneway(to, from),
        Mode::Hold => sim.hold(from, to),
        Mode::Delay(delay) => sim.set_link_latency(from, to, delay * DELAY_FACTOR),
        mode => panic!("{mode:?} of a link"),
    }
}

impl Target for Link {
    fn begin(&mut self, planned: &Planned, sim: &mut Sim<'_>) {
        match planned.harm {
            Harm::Bytes(mode) => {
                if matches!(mode, Mode::Delay(_)) {
                    self.latency_change_at = Duration::MAX;
                }
                harm(sim, self.ends, mode);
            }
            Harm::Flap { .. } => self.is_cut = false,
            Harm::Kill | Harm::Freeze | Harm::Cut(_) | Harm::Machine { .. } => {
                panic!("{planned:?} of a link")
            }
        }
        self.harm = Some(planned.harm);
    }

    fn end(&mut self, sim: &mut Sim<'_>) -> bool {
        let [from, to] = self.ends;
        match self.harm.take() {
            Some(Harm::Bytes(Mode::Hold)) => sim.release(from, to),
            Some(Harm::Bytes(Mode::Delay(_))) => self.latency_change_at = Duration::ZERO,
            Some(_) | None => sim.repair(from, to),
        }
        true
    }

    /// The latency of good times changes, and a flapping link flaps.
    fn follow_up(&mut self, sim: &mut Sim<'_>, random: &mut fastrand::Rng) {
        let [from, to] = self.ends;
        let now = sim.elapsed();
        if self.latency_change_at <= now {
            self.latency_change_at = now + Duration::from_millis(random.u64(50..800));
            let latency = Duration::from_millis(random.u64(self.latency.clone()));
            sim.set_link_latency(from, to, latency);
        }
        if let Some(Harm::Flap { each }) = self.harm
            && self.flap_at <= now
        {
            self.flap_at = now + each;
            self.is_cut = !self.is_cut;
            if self.is_cut { sim.partition(from, to) } else { sim.repair(from, to) }
        }
    }
}
