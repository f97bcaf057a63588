//! Points: one system call of the logging service, and what happens at it.

use std::{ffi::OsString, fmt, path::Path};

use crate::programs::{ToolError, traced};

/// Sequences that a segment of the workload may begin with.
const SEQUENCES_MAX: u64 = 64;

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The process ends at once (SIGKILL).
    Kill,
    /// The call is not made, and fails with this.
    Error(&'static str),
    /// The call begins this many milliseconds late.
    Delay(u32),
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("SIGKILL"),
            Self::Error(error) => f.write_str(error),
            Self::Delay(millis) => write!(f, "{millis} ms late"),
        }
    }
}

/// A kind of system call and what happens at one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// The call.
    pub syscall: &'static str,
    /// What happens.
    pub effect: Effect,
}

/// What a call of [`Injection`] must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// The process ends by the signal.
    Killed,
    /// It ends by itself and says that the disk failed.
    Stops,
    /// It stops, or refuses for want of room and goes on.
    StopsOrRefuses,
    /// It goes on.
    GoesOn,
}

/// Each call the journal makes, and the ones that carry its answers.
const KILLED: [&str; 8] =
    ["pwrite64", "fdatasync", "fsync", "fallocate", "ftruncate", "openat", "write", "writev"];

/// Calls, and what they fail with.
const FAILING: [(&str, &[&str]); 7] = [
    ("pwrite64", &["EIO", "ENOSPC", "EDQUOT"]),
    ("fdatasync", &["EIO", "ENOSPC", "EDQUOT"]),
    ("fsync", &["EIO", "ENOSPC", "EDQUOT"]),
    ("fallocate", &["EIO", "ENOSPC", "EDQUOT", "EFBIG"]),
    ("ftruncate", &["EIO"]),
    ("openat", &["EIO", "EMFILE", "ENFILE", "ENOSPC", "EACCES"]),
    ("statx", &["EIO", "EACCES"]),
];

/// Everything that is swept.
pub fn all() -> impl Iterator<Item = Injection> {
    let killed = KILLED.into_iter().map(|syscall| (syscall, Effect::Kill));
    let failing = FAILING.into_iter().flat_map(|(syscall, errors)| {
        errors.iter().map(move |error| (syscall, Effect::Error(error)))
    });
    let all = killed.chain(failing).chain([("fdatasync", Effect::Delay(1200))]);
    all.map(|(syscall, effect)| Injection { syscall, effect })
}

impl Injection {
    /// Calls of other threads than those of the journal, on other files than its own.
    const fn is_anywhere(&self) -> bool {
        matches!(self.syscall.as_bytes(), b"write" | b"writev")
    }

    pub(super) const fn expected(&self) -> Expected {
        match (self.effect, self.syscall.as_bytes()) {
            (Effect::Kill, _) => Expected::Killed,
            (Effect::Delay(_), _) => Expected::GoesOn,
            (_, b"fdatasync" | b"fsync") => Expected::Stops,
            // A log whose place cannot be seen refuses what is new.
            (_, b"statx") => Expected::StopsOrRefuses,
            (Effect::Error(error), _) => match error.as_bytes() {
                b"EIO" | b"EACCES" => Expected::Stops,
                _ => Expected::StopsOrRefuses,
            },
        }
    }

    /// `program` with the `when`th call harmed in each thread, and every call noted in the file `trace`
    /// in `dir`.
    ///
    /// # Errors
    /// There is no strace.
    pub(super) fn command(
        &self,
        program: &[OsString],
        dir: &Path,
        when: u32,
    ) -> Result<Vec<OsString>, ToolError> {
        let harm = match self.effect {
            Effect::Kill => "signal=SIGKILL".to_owned(),
            Effect::Error(error) => format!("error={error}"),
            Effect::Delay(millis) => format!("delay_enter={}", u64::from(millis) * 1000),
        };
        let syscall = self.syscall;
        let mut flags = ["-ttt", "-e", "signal=none", "-o"].map(OsString::from).to_vec();
        flags.push(dir.join("trace").into());
        flags.push(format!("-etrace={syscall}").into());
        flags.push(format!("-einject={syscall}:{harm}:when={when}").into());
        if !self.is_anywhere() {
            let data = dir.join("logging");
            let segments = (1..=SEQUENCES_MAX).map(|n| data.join(format!("{n:020}.segment")));
            for path in [data.clone()].into_iter().chain(segments) {
                flags.extend([OsString::from("-P"), path.into()]);
            }
        }
        traced(flags, program)
    }
}
