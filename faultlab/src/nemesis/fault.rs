//! Faults and their victims.

use std::{fmt, str::FromStr};

/// A kind of harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The facade or the logging service is ended with SIGKILL and started again.
    Kill,
    /// So is the messages service, which no post needs.
    KillMessages,
    /// A service is stopped with SIGSTOP and goes on later.
    Freeze,
    /// The connections of a link end in good order.
    Cut,
    /// One direction of them ends, the other one goes on.
    HalfClose,
    /// They are reset in the middle of a message.
    Reset,
    /// What goes through them is late.
    Delay,
    /// It is late by a time that differs from connection to connection.
    Scatter,
    /// It goes through slowly.
    Throttle,
    /// It waits, and then goes through all at once.
    Hold,
    /// Requests do not arrive, replies do.
    DropRequests,
    /// Requests arrive, replies do not.
    DropReplies,
    /// Nothing arrives.
    BlackHole,
    /// Nothing arrives, then everything, then nothing, in quick change.
    Flap,
    /// Something that only a simulated machine can take.
    Machine(MachineFault),
}

/// What can be done to a simulated machine, beside the kill of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MachineFault {
    /// Its process stops in good order, and starts again later.
    Stop,
    /// The power fails: what was not synced survives or does not.
    PowerLoss,
    /// The power fails in the middle of what the process does with the disk.
    PowerLossWithin,
    /// A read, write or sync fails.
    DiskFails,
    /// There is no space on the disk.
    DiskFull,
    /// The wall clock jumps ahead.
    ClockJump,
}

impl Fault {
    /// All kinds that real processes can take.
    pub const ALL: [Self; 14] = {
        use Fault::*;
        [
            Kill,
            KillMessages,
            Freeze,
            Cut,
            HalfClose,
            Reset,
            Delay,
            Scatter,
            Throttle,
            Hold,
            DropRequests,
            DropReplies,
            BlackHole,
            Flap,
        ]
    };

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillMessages => "kill-messages",
            Self::Freeze => "freeze",
            Self::Cut => "cut",
            Self::HalfClose => "half-close",
            Self::Reset => "reset",
            Self::Delay => "delay",
            Self::Scatter => "scatter",
            Self::Throttle => "throttle",
            Self::Hold => "hold",
            Self::DropRequests => "drop-requests",
            Self::DropReplies => "drop-replies",
            Self::BlackHole => "black-hole",
            Self::Flap => "flap",
            Self::Machine(MachineFault::Stop) => "stop",
            Self::Machine(MachineFault::PowerLoss) => "power-loss",
            Self::Machine(MachineFault::PowerLossWithin) => "power-loss-within",
            Self::Machine(MachineFault::DiskFails) => "disk-fails",
            Self::Machine(MachineFault::DiskFull) => "disk-full",
            Self::Machine(MachineFault::ClockJump) => "clock-jump",
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

/// A way that requests take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// From the clients to the facade.
    Clients,
    /// From the facade to the logging service.
    Logging,
}

/// What a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The facade.
    Facade,
    /// The logging service.
    Logging,
    /// The messages service.
    Messages,
    /// The disk of the logging service, and its clock.
    Disk,
    /// What goes over a link.
    Link(Link),
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Facade => "facade",
            Self::Logging => "logging service",
            Self::Messages => "messages service",
            Self::Disk => "disk",
            Self::Link(Link::Clients) => "clients to facade",
            Self::Link(Link::Logging) => "facade to logging service",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_known_by_its_name() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert!("lightning".parse::<Fault>().unwrap_err().contains("drop-replies"));
    }
}
