//! What goes wrong with the machines themselves, and their next start.

use std::{io::ErrorKind, rc::Rc, time::Duration};

use logging_service::store::journal::disk::Fault;
use turmoil::Sim;

use crate::{
    events::Events,
    machines::{FACADES, FacadeMachine, LOGGING, LoggingMachine},
    seed::some_of,
};

/// What goes wrong with the machine of the logging service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoggingFault {
    /// The process is killed; what it wrote stays in the memory of the machine.
    Kill,
    PowerLoss,
    /// In the middle of what it does with the disk.
    PowerLossWithin,
    /// A read, write or sync fails.
    DiskFails,
    DiskFull,
    Stop,
    ClockJump,
}

const OF_LOGGING: [LoggingFault; 8] = [
    LoggingFault::Kill,
    LoggingFault::PowerLoss,
    LoggingFault::PowerLossWithin,
    LoggingFault::PowerLossWithin,
    LoggingFault::DiskFails,
    LoggingFault::DiskFull,
    LoggingFault::Stop,
    LoggingFault::ClockJump,
];

/// The faults of the logging service's machine.
pub(crate) struct LoggingOutages {
    machine: Rc<LoggingMachine>,
    next_at: Duration,
    restart_at: Option<Duration>,
    /// The power fails when the disk has come to the operation chosen for it.
    armed: bool,
    full_until: Option<Duration>,
    /// The faults of this run.
    faults: Vec<LoggingFault>,
    /// The longest time between two of them, in milliseconds.
    pause_max: u64,
}

impl LoggingOutages {
    pub(crate) fn new(machine: Rc<LoggingMachine>, random: &mut fastrand::Rng) -> Self {
        Self {
            machine,
            next_at: Duration::from_millis(random.u64(200..3000)),
            restart_at: None,
            armed: false,
            full_until: None,
            faults: some_of(&OF_LOGGING, random),
            pause_max: [600, 1500, 5000][random.usize(0..3)],
        }
    }

    /// Does harm when it is time to. Returns the name of what it did.
    pub(crate) fn step(
        &mut self,
        sim: &mut Sim<'_>,
        random: &mut fastrand::Rng,
        events: &Events,
    ) -> Option<String> {
        let now = sim.elapsed();
        if now < self.next_at || !sim.is_host_running(LOGGING) {
            return None;
        }
        self.next_at = now + Duration::from_millis(random.u64(100..self.pause_max));
        let fault = self.faults[random.usize(0..self.faults.len())];
        events.tell(format!("logging: {fault:?}"));
        let disk = &self.machine.disk;
        match fault {
            LoggingFault::Kill => self.machine.process.kill(),
            LoggingFault::PowerLoss => self.lose_power(sim, random),
            LoggingFault::PowerLossWithin => {
                disk.inject(random.u64(0..16), Fault::Crash);
                self.armed = true;
            }
            LoggingFault::DiskFails => disk.inject(random.u64(0..8), Fault::Fail(ErrorKind::Other)),
            LoggingFault::DiskFull => {
                disk.set_capacity(Some(disk.used() + random.u64(0..4096)));
                self.full_until = Some(now + Duration::from_millis(random.u64(100..4000)));
            }
            LoggingFault::Stop => self.machine.process.stop(),
            LoggingFault::ClockJump => {
                self.machine.clock.advance(Duration::from_secs(random.u64(1..100_000)));
            }
        }
        Some(format!("{fault:?}"))
    }

    /// Brings about what follows from earlier faults: the power loss that was due, the next start.
    pub(crate) fn follow_up(
        &mut self,
        sim: &mut Sim<'_>,
        random: &mut fastrand::Rng,
        events: &Events,
    ) {
        let now = sim.elapsed();
        if self.armed && !self.machine.disk.fault_is_pending() {
            events.tell("logging: the power fails in the middle of an operation");
            self.lose_power(sim, random);
        }
        if self.full_until.is_some_and(|until| until <= now) {
            self.make_room(events);
        }
        if sim.is_host_running(LOGGING) {
            return;
        }
        let restart_at = *self
            .restart_at
            .get_or_insert_with(|| now + Duration::from_millis(random.u64(20..self.pause_max / 3)));
        if restart_at <= now {
            self.restart_at = None;
            events.tell("logging: start");
            sim.bounce(LOGGING);
        }
    }

    /// There is space on the disk again.
    pub(crate) fn make_room(&mut self, events: &Events) {
        if self.full_until.take().is_some() {
            events.tell("logging: there is space again");
            self.machine.disk.set_capacity(None);
        }
    }

    /// Power off: what was not synced survives or does not, and nobody is told goodbye.
    fn lose_power(&mut self, sim: &mut Sim<'_>, random: &mut fastrand::Rng) {
        self.armed = false;
        self.machine.process.lose_power(sim, LOGGING);
        self.machine.disk.crash(random.u64(..));
    }
}

/// The faults of a facade's machine.
pub(crate) struct FacadeOutages {
    name: &'static str,
    machine: Rc<FacadeMachine>,
    next_at: Duration,
    restart_at: Option<Duration>,
}

impl FacadeOutages {
    /// In every third run nothing happens to it.
    pub(crate) fn new(nth: usize, machine: Rc<FacadeMachine>, random: &mut fastrand::Rng) -> Self {
        let quiet = random.u8(0..3) == 0;
        let next_at = Duration::from_millis(random.u64(500..8000));
        let next_at = if quiet { Duration::MAX } else { next_at };
        Self { name: FACADES[nth], machine, next_at, restart_at: None }
    }

    /// Kills or stops the facade when it is time to. Returns the name of what it did.
    pub(crate) fn step(
        &mut self,
        sim: &mut Sim<'_>,
        random: &mut fastrand::Rng,
        events: &Events,
    ) -> Option<String> {
        let now = sim.elapsed();
        if now < self.next_at || !sim.is_host_running(self.name) {
            return None;
        }
        self.next_at = now + Duration::from_millis(random.u64(1000..10_000));
        if random.bool() {
            events.tell(format!("{}: Kill", self.name));
            self.machine.process.kill();
            return Some("KillFacade".to_owned());
        }
        events.tell(format!("{}: Stop", self.name));
        self.machine.process.stop();
        Some("StopFacade".to_owned())
    }

    /// Starts the facade again, some time after it has ended.
    pub(crate) fn follow_up(
        &mut self,
        sim: &mut Sim<'_>,
        random: &mut fastrand::Rng,
        events: &Events,
    ) {
        if sim.is_host_running(self.name) {
            return;
        }
        let now = sim.elapsed();
        let restart_at = *self
            .restart_at
            .get_or_insert_with(|| now + Duration::from_millis(random.u64(20..1000)));
        if restart_at <= now {
            self.restart_at = None;
            events.tell(format!("{}: start", self.name));
            sim.bounce(self.name);
        }
    }
}
