//! What goes wrong with the machines themselves, and their next start.

use std::{io::ErrorKind, rc::Rc, time::Duration};

use faultlab::nemesis::{Fault, Harm, MachineFault, Planned};
use logging_service::store::journal::disk::{Fault as DiskFault, SimulatedDisk};
use turmoil::Sim;

use crate::{
    machines::{LoggingMachine, Process},
    nemesis::Target,
};

/// What the details of a fault follow from.
fn details(planned: &Planned) -> fastrand::Rng {
    let Harm::Machine { seed } = planned.harm else { panic!("{planned:?} of a machine") };
    fastrand::Rng::with_seed(seed)
}

/// The ends and starts of the process of a machine.
pub(crate) struct Outage {
    machine: &'static str,
    process: Rc<Process>,
    disk: Option<SimulatedDisk>,
    /// The power fails when the disk has come to the operation chosen for it. What survives follows
    /// from these numbers.
    armed: Option<fastrand::Rng>,
}

impl Outage {
    pub(crate) fn new(
        machine: &'static str,
        process: &Rc<Process>,
        disk: Option<SimulatedDisk>,
    ) -> Self {
        Self { machine, process: Rc::clone(process), disk, armed: None }
    }

    /// Power off: what was not synced survives or does not, and the peers are told nothing.
    fn lose_power(&self, mut details: fastrand::Rng, sim: &mut Sim<'_>) {
        self.process.lose_power(sim, self.machine);
        if let Some(disk) = &self.disk {
            disk.crash(details.u64(..));
        }
    }
}

impl Target for Outage {
    fn is_down(&self, sim: &mut Sim<'_>) -> bool {
        !sim.is_host_running(self.machine)
    }

    fn begin(&mut self, planned: &Planned, sim: &mut Sim<'_>) {
        match (planned.fault, &self.disk) {
            (Fault::Kill, _) => self.process.kill(),
            (Fault::Machine(MachineFault::Stop), _) => self.process.stop(),
            (Fault::Machine(MachineFault::PowerLoss), _) => self.lose_power(details(planned), sim),
            (Fault::Machine(MachineFault::PowerLossWithin), Some(disk)) => {
                let mut details = details(planned);
                disk.inject(details.u64(0..16), DiskFault::Crash);
                self.armed = Some(details);
            }
            (fault, _) => panic!("{fault} of a process"),
        }
    }

    /// The fault is over with the next start, before which the process has ended.
    fn end(&mut self, sim: &mut Sim<'_>) -> bool {
        let is_down = self.is_down(sim);
        if is_down {
            sim.bounce(self.machine);
        }
        is_down
    }

    fn follow_up(&mut self, sim: &mut Sim<'_>, _: &mut fastrand::Rng) {
        if self.disk.as_ref().is_some_and(|disk| !disk.fault_is_pending())
            && let Some(details) = self.armed.take()
        {
            self.lose_power(details, sim);
        }
    }
}

/// The disk and the clock of the logging service's machine.
pub(crate) struct Disk(pub(crate) Rc<LoggingMachine>);

impl Target for Disk {
    #[allow(clippy::wildcard_enum_match_arm)] // No other fault is planned for a disk.
    fn begin(&mut self, planned: &Planned, _: &mut Sim<'_>) {
        let (mut details, disk) = (details(planned), &self.0.disk);
        match planned.fault {
            Fault::Machine(MachineFault::DiskFails) => {
                disk.inject(details.u64(0..8), DiskFault::Fail(ErrorKind::Other));
            }
            Fault::Machine(MachineFault::DiskFull) => {
                disk.set_capacity(Some(disk.used() + details.u64(0..4096)));
            }
            Fault::Machine(MachineFault::ClockJump) => {
                self.0.clock.advance(Duration::from_secs(details.u64(1..100_000)));
            }
            fault => panic!("{fault} of a disk"),
        }
    }

    fn end(&mut self, _: &mut Sim<'_>) -> bool {
        self.0.disk.set_capacity(None);
        true
    }

    fn follow_up(&mut self, _: &mut Sim<'_>, _: &mut fastrand::Rng) {}
}
